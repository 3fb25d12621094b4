#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "node/cgroup/files_v1.h"

/// One function for each kernel file of cgroup v2 that Berth uses, named after the file.
/// Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.
namespace berth::node::cgroup_v2 {

/// Words of cgroup.controllers: what may be enabled for children.
Result<std::string> cgroup_controllers(const std::string& folder);
/// Words of cgroup.subtree_control: what is enabled for children.
Result<std::string> cgroup_subtree_control(const std::string& folder);
/// Enables one controller for the children of `folder`.
Result<> enable_in_subtree(const std::string& folder, const std::string& controller);
/// Kills every process in the cgroup and below, also one that is being forked. Kernels before 5.14
/// have no such file.
Result<> set_cgroup_kill(const std::string& folder);

Result<> set_cpu_weight(const std::string& folder, int64_t weight);
Result<int64_t> cpu_weight(const std::string& folder);
/// -1: no limit.
Result<> set_cpu_max(const std::string& folder, int64_t quota_us, int64_t period_us);
Result<int64_t> cpu_stat_usage_usec(const std::string& folder);

/// -1: no limit.
Result<> set_memory_max(const std::string& folder, int64_t bytes);
Result<> set_memory_swap_max(const std::string& folder, int64_t bytes);
bool has_memory_swap(const std::string& folder);
bool has_memory_oom_group(const std::string& folder);
Result<int64_t> memory_current(const std::string& folder);
Result<int64_t> memory_stat_active_file(const std::string& folder);
Result<int64_t> memory_stat_inactive_file(const std::string& folder);
Result<int64_t> memory_events_oom_kill(const std::string& folder);

/// -1: no limit.
Result<> set_pids_max(const std::string& folder, int64_t count);
Result<int64_t> pids_current(const std::string& folder);

/// io.bfq.weight (1..1000) and io.weight (1..10000), those that the kernel has: which of them
/// counts depends on the disk.
Result<> set_io_weight(const std::string& folder, int64_t blkio_weight);
bool has_io_weight(const std::string& folder);
Result<cgroup_v1::IoBytes> io_stat(const std::string& folder);

}  // namespace berth::node::cgroup_v2
