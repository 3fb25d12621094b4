#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

/// One function for each kernel file of cgroup v1 that Berth uses, named after the file. `folder`
/// is the cgroup's folder in the hierarchy of that controller.
/// Source: the kernel's Documentation/admin-guide/cgroup-v1/.
namespace berth::node::cgroup_v1 {

Result<> set_cpu_shares(const std::string& folder, int64_t shares);
Result<int64_t> cpu_shares(const std::string& folder);
Result<> set_cpu_cfs_period_us(const std::string& folder, int64_t us);
/// -1: no limit.
Result<> set_cpu_cfs_quota_us(const std::string& folder, int64_t us);
Result<int64_t> cpu_cfs_quota_us(const std::string& folder);
Result<int64_t> cpuacct_usage(const std::string& folder);  ///< nanoseconds

/// -1: no limit. The kernel refuses a limit below what is in use that it cannot reclaim.
Result<> set_memory_limit_in_bytes(const std::string& folder, int64_t bytes);
Result<int64_t> memory_limit_in_bytes(const std::string& folder);
Result<> set_memory_memsw_limit_in_bytes(const std::string& folder, int64_t bytes);
bool has_memory_memsw(const std::string& folder);
Result<int64_t> memory_usage_in_bytes(const std::string& folder);
Result<int64_t> memory_stat_total_inactive_file(const std::string& folder);
/// The line `oom_kill` of memory.oom_control: how often the kernel killed here.
Result<int64_t> memory_oom_control_oom_kill(const std::string& folder);

/// -1: no limit.
Result<> set_pids_max(const std::string& folder, int64_t count);
Result<int64_t> pids_current(const std::string& folder);

/// blkio.bfq.weight where the kernel has it (10..1000), else blkio.weight; `kUnsupported` when it
/// has neither.
Result<> set_blkio_weight(const std::string& folder, int64_t weight);
bool has_blkio_weight(const std::string& folder);

struct IoBytes {
  int64_t read = 0;
  int64_t written = 0;
};
/// blkio.throttle.io_service_bytes_recursive, all devices.
Result<IoBytes> blkio_io_service_bytes(const std::string& folder);

}  // namespace berth::node::cgroup_v1
