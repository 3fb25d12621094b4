#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace berth::node {

/// Container logs are files in the CRI format: `TIME stdout|stderr F|P TEXT`. A log that has grown
/// to `kLogBytes` is moved to `NAME.log.1` and so on; `kLogFiles` are kept in all.
inline constexpr int64_t kLogBytes = 10 << 20;
inline constexpr int kLogFiles = 3;

struct LogQuery {
  bool timestamps = false;
  std::optional<int64_t> tail_lines;
  std::optional<int64_t> limit_bytes;
  std::optional<Time> since;
};

/// The files of one run, the oldest first: rotated ones, then the log itself (if they exist).
std::vector<std::string> log_files(const std::string& log_path);

/// Everything that is there now, as the container wrote it.
Result<std::string> read_log(const std::vector<std::string>& files, const LogQuery& query);

/// A log being read, on a thread of its own: first what is there, then (when following) what comes,
/// by inotify, also across a rotation, until the container has ended. Destroying it stops the
/// reading: no call starts after that.
class LogFollower {
 public:
  struct Sink {
    /// False: enough for now, wait for `resume`.
    std::function<bool(std::string bytes)> write;
    std::function<void(Result<> how)> end;
  };
  /// `ended` says whether the run is over, so that nothing more will come.
  LogFollower(std::string log_path, LogQuery query, bool follow, std::function<bool()> ended,
              Sink sink);
  ~LogFollower();
  void resume();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The log of a container's current run, or of the one before it; works from what is on disk alone.
/// `kNotFound`: nothing was ever started, or the run before is not there.
Result<std::string> find_log(const std::string& data_dir, const std::string& pod_uid,
                             const std::string& container, bool previous);
/// Will nothing more be written to this log? `exit_dir` is where the runtime leaves exit codes.
bool log_is_over(const std::string& data_dir, const std::string& exit_dir,
                 const std::string& pod_uid, const std::string& container,
                 const std::string& log_path);

/// Moves a log that has grown too large out of the way; true when it did, and then whoever writes
/// it must open it anew.
Result<bool> rotate_log(const std::string& log_path, int64_t limit_bytes = kLogBytes,
                        int keep = kLogFiles);

}  // namespace berth::node
