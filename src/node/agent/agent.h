#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "client/api_client.h"
#include "node/devices/device_source.h"
#include "node/images/image_store.h"
#include "node/logs.h"
#include "node/network/pod_network.h"
#include "node/usage.h"

namespace berth::node {

/// References outlive the agent.
struct AgentOptions {
  std::string data_dir;   ///< absolute
  std::string node_name;  ///< a DNS name
  const Clock& clock;
  client::ApiClient& api;
  PodNetwork& network;
  ImageStore& images;
  DeviceSource& devices;
  bool allow_host_path = false;
  std::vector<std::string> host_dirs = {};  ///< may be mounted read-only all the same
  bool allow_host_network = false;          ///< also hostPID and hostIPC
  bool allow_privileged = false;
  int max_pods = 250;
  int64_t pids_per_pod = 16'384;
  /// Kept from pods for the machine itself.
  int64_t reserved_cpu_milli = 100;
  int64_t reserved_memory_bytes = 256 << 20;
  int64_t reserved_disk_bytes = 1 << 30;  ///< but at most a tenth of what there is
  Duration usage_period = Duration::seconds(10);
  /// Told of each window's samples, on the agent's thread.
  std::function<void(const UsageSnapshot&)> on_usage = {};
  Duration device_period = Duration::seconds(15);  ///< how often to look who else uses devices
  size_t workers = 8;                              ///< threads for runc, CNI and mounts
  std::string cgroup_root = "/berth";
  std::string runtime_dir = {};  ///< empty: /run/berth/HASH-OF-DATA-DIR
};

/// Was this process started by an agent with this cgroup root, in a container? (For
/// `DevicesOptions::is_own`.) Any thread.
bool runs_in_a_pod(int pid, const std::string& cgroup_root = "/berth");

/// Runs the pods that are bound to this node. All of its state is on disk under `data_dir` and in
/// the API: it may be killed at any instant; what runs keeps running, and the next agent on the
/// same folder adopts it. The folder must be locked by the caller.
class Agent {
 public:
  /// Checks the host, adopts what an earlier agent left, registers the Node and begins. Fails with
  /// everything that is missing at once.
  static Result<std::unique_ptr<Agent>> start(AgentOptions options);
  /// As `stop(kLeaveRunning)`.
  ~Agent();

  enum class StopMode {
    kLeaveRunning,  ///< for a restart of Berth
    kDrain,         ///< stop every pod gracefully (the objects stay), at most `limit`
  };
  /// Blocks; the second call does nothing.
  void stop(StopMode mode, Duration limit = Duration::seconds(60));

  /// What the host does not allow and is done without, as sentences.
  std::vector<std::string> host_limits() const;
  /// Any thread.
  UsageSnapshot usage() const;

  struct LogTarget {
    std::string pod_uid;
    std::string container;
    bool previous = false;
  };
  /// The file of a container's log; `kNotFound` or `kInvalid` with what to do. Any thread.
  Result<std::string> log_path(const LogTarget& target) const;
  /// Opens a log of a container: `LogFollower` on the right file. Any thread.
  Result<std::unique_ptr<LogFollower>> open_log(const LogTarget& target, const LogQuery& query,
                                                bool follow, LogFollower::Sink sink) const;

 private:
  struct State;
  explicit Agent(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace berth::node
