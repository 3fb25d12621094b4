#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/error.h"
#include "node/cgroup/limits.h"

namespace berth::node {

/// What a cgroup has used since it was made.
struct CgroupUsage {
  int64_t cpu_ns = 0;
  int64_t memory_bytes = 0;  ///< the working set: without the file cache that can be dropped first
  int64_t io_read_bytes = 0;
  int64_t io_written_bytes = 0;
  int64_t pids = 0;
};

/// The machine's cgroups, whichever version they are. Paths start at the root of every hierarchy:
/// `/berth/burstable/podX`. Calls touch only kernel files and may come from any thread.
class CgroupTree {
 public:
  enum class Version {
    kV1,
    kHybrid,  ///< v1 with a v2 mount beside it that has no controllers of use; limits go by v1
    kV2,
  };

  /// Reads a mount table in the form of /proc/self/mountinfo.
  static Result<CgroupTree> detect(const std::string& mount_table);

  Version version() const { return version_; }
  /// Whether a cgroup can be held to limits of this controller; on v2, where each cgroup has what
  /// its ancestors enable, judged on one that exists.
  bool has(const std::string& controller, const std::string& path) const;
  /// Where a cgroup lies for a controller; empty when the machine lacks the controller.
  std::string folder(const std::string& controller, const std::string& path) const;

  /// Makes the cgroup, and on v2 enables the controllers for it from the root down.
  Result<> ensure(const std::string& path) const;
  /// Sets what is set in `limits`. Weights that the kernel has no file for are left out. A memory
  /// limit below what is in use is refused.
  Result<> apply(const std::string& path, const CgroupLimits& limits) const;
  /// Kills what runs in it, and removes it with all that is below it, in every hierarchy.
  Result<> remove(const std::string& path) const;
  /// Removes it where nothing runs in it and nothing is below it, and leaves it elsewhere.
  void remove_if_unused(const std::string& path) const;
  Result<CgroupUsage> usage(const std::string& path) const;
  /// How often the kernel killed for memory in this cgroup or below.
  Result<int64_t> oom_kills(const std::string& path) const;
  std::vector<pid_t> processes(const std::string& path) const;
  std::vector<std::string> children(const std::string& path) const;

  /// Whether limits on swap can be set; judged on a cgroup that exists and is not the root.
  bool limits_swap(const std::string& path) const;
  bool weighs_io(const std::string& path) const;
  /// Whether running out of memory can end all processes of a cgroup together.
  bool kills_together(const std::string& path) const;

  /// Files to write a process id into, to move it, one a hierarchy that service managers watch.
  std::string manager_procs_file(const std::string& path) const;

 private:
  std::vector<std::string> folders(const std::string& path) const;

  Version version_ = Version::kV2;
  std::map<std::string, std::string> v1_;  ///< controller (or name=systemd) → mount point
  std::string v2_;                         ///< mount point, empty when there is none
};

}  // namespace berth::node
