#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/error.h"
#include "base/time.h"
#include "objects/json.h"
#include "platform/process.h"
#include "platform/reaper.h"

namespace berth::node {

/// The name of one run of a container: the same after a restart of Berth, so that it is found
/// again. `attempt` is the restart count. At most 83 characters (conmon's sockets are named by it).
std::string container_id(const std::string& pod_uid, const std::string& container, int attempt);

/// What runc says went wrong, of what it and conmon write to their log (`time="…" level=error
/// msg="…"`): the last message, without the words that every failed start begins with.
std::string runc_message(std::string_view log);

/// Runs containers by `runc` under one `conmon` each, which stays when Berth is gone, keeps the log
/// and writes the exit code to `exit_dir/ID`. Calls block; any thread, one call a container at a
/// time. All may be repeated.
class ContainerRuntime {
 public:
  struct Options {
    std::string runc = "/usr/sbin/runc";
    std::string conmon = "/usr/bin/conmon";
    std::string state_dir;  ///< short, on a file system that a reboot clears: /run/berth/1f2e
    std::string exit_dir;   ///< where conmon leaves exit codes
    std::string monitor_cgroup_procs;  ///< where conmon goes, out of Berth's own; may be empty
  };

  struct Launch {
    std::string id;
    std::string bundle;    ///< a folder; config.json is written here
    std::string log_path;  ///< in the CRI format
    Json spec;
    bool terminal = false;
    bool open_stdin = false;
  };

  enum class Phase {
    kCreated,  ///< or half of it: `runc start` never ran, whether its first process still waits or
               ///< not
    kRunning,
    kPaused,
    kStopped,
  };
  struct Found {
    std::string id;
    pid_t pid = 0;
    Phase phase = Phase::kStopped;
  };

  /// Makes the folders.
  static Result<ContainerRuntime> open(Options options);

  /// Creates, but does not start, a container; the process id of its first process. One that is
  /// there and was never started is made anew: who made it may be gone, with its end of the log.
  Result<pid_t> ensure_created(const Launch& launch) const;
  Result<> ensure_started(const std::string& id) const;
  /// Success also when it is not there or has ended.
  Result<> signal(const std::string& id, int number) const;
  /// Kills what runs, and forgets the container and its exit code, which does not come back.
  Result<> remove(const std::string& id) const;
  /// Runs a second process in the container, as its user and in its environment. At the timeout it
  /// is killed.
  Result<platform::ProcessResult> exec(const std::string& id, const std::vector<std::string>& argv,
                                       Duration timeout) const;
  /// The containers that a conmon watches, or is about to create, whoever started it.
  std::set<std::string> monitored() const;
  /// Every container of this state directory, half-made ones too.
  Result<std::vector<Found>> list() const;
  /// Removes what calls left that were cut off by the end of their Berth.
  void sweep() const;
  /// Removes the folders when there is nothing in them.
  void close() const;
  /// Has conmon open its log anew, after the file was moved away.
  Result<> reopen_log(const std::string& bundle) const;

  const Options& options() const { return options_; }

 private:
  explicit ContainerRuntime(Options options) : options_(std::move(options)) {}
  platform::ProcessOptions runc(std::vector<std::string> arguments) const;
  Result<Found> find(const std::string& id) const;
  Result<pid_t> create(const Launch& launch) const;
  std::string folder(const std::string& id) const { return options_.state_dir + "/runc/" + id; }
  bool never_started(const std::string& id) const;

  Options options_;
  std::shared_ptr<platform::Reaper> reaper_ = std::make_shared<platform::Reaper>();
};

}  // namespace berth::node
