#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "node/cgroup/cgroup_tree.h"
#include "node/devices/device_source.h"

namespace berth::node {

/// What one container used in the last window.
struct ContainerUsage {
  std::string name;
  int64_t cpu_ns = 0;        ///< since it started
  double cpu_cores = 0;      ///< averaged over the window
  int64_t memory_bytes = 0;  ///< working set
  int64_t io_read_bytes = 0;
  int64_t io_written_bytes = 0;
  int64_t pids = 0;
};

struct PodUsage {
  std::string ns;
  std::string name;
  std::string uid;
  Time at;
  Duration window;
  std::vector<ContainerUsage> containers;
  std::vector<AssignedDevice> devices;  ///< look their use up in the snapshot
};

/// What the machine as a whole used, whoever used it.
struct MachineUsage {
  Time at;
  Duration window;
  double cpu_cores = 0;
  int64_t memory_bytes = 0;
  int64_t cpus = 0;                ///< that it has online
  int64_t memory_total_bytes = 0;  ///< that it has
};

/// The newest samples. Only pods that run are here.
struct UsageSnapshot {
  MachineUsage machine;
  std::vector<PodUsage> pods;
  std::vector<DeviceSample> devices;  ///< as of the sample before; without those that cannot tell
};

/// Turns counters that only grow into rates between two samples.
class UsageRates {
 public:
  /// Cores used since the last sample of `key`, or since `since` when there is none.
  double cores(const std::string& key, int64_t cpu_ns, Time now, Time since);
  /// Forgets what was not asked for since the last call of this.
  void sweep();

 private:
  struct Last {
    int64_t cpu_ns = 0;
    Time at;
    bool seen = true;
  };
  std::map<std::string, Last> last_;
};

/// Busy time of all CPUs in nanoseconds (/proc/stat) and memory that is not available
/// (/proc/meminfo), and how much of each there is.
struct MachineCounters {
  int64_t busy_ns = 0;
  int64_t cpus = 0;
  int64_t memory_used_bytes = 0;
  int64_t memory_bytes = 0;
};
MachineCounters machine_counters();

/// Bytes that a folder takes on its disk, without following links or leaving the file system.
int64_t disk_usage(const std::string& folder);

}  // namespace berth::node
