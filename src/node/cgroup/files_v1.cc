#include "node/cgroup/files_v1.h"

#include <charconv>

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "node/cgroup/kernel_text.h"
#include "node/files.h"

namespace berth::node::cgroup_v1 {
namespace {

Result<> write_number(const std::string& folder, const char* file, int64_t value) {
  return write_in_place(folder + file, fmt::format("{}", value));
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<int64_t> read_keyed(const std::string& path, std::string_view key) {
  BERTH_TRY(const std::string text, read_file(path));
  if (const auto value = flat_keyed(text, key)) return *value;
  return fail(ErrorCode::kUnsupported, fmt::format("no line `{}`", key), path);
}

}  // namespace

Result<> set_cpu_shares(const std::string& folder, int64_t shares) {
  return write_number(folder, "/cpu.shares", shares);
}
Result<int64_t> cpu_shares(const std::string& folder) {
  return read_integer(folder + "/cpu.shares");
}
Result<> set_cpu_cfs_period_us(const std::string& folder, int64_t us) {
  return write_number(folder, "/cpu.cfs_period_us", us);
}
Result<> set_cpu_cfs_quota_us(const std::string& folder, int64_t us) {
  return write_number(folder, "/cpu.cfs_quota_us", us);
}
Result<int64_t> cpu_cfs_quota_us(const std::string& folder) {
  return read_integer(folder + "/cpu.cfs_quota_us");
}
Result<int64_t> cpuacct_usage(const std::string& folder) {
  return read_integer(folder + "/cpuacct.usage");
}
Result<> set_memory_limit_in_bytes(const std::string& folder, int64_t bytes) {
  return write_number(folder, "/memory.limit_in_bytes", bytes);
}
Result<int64_t> memory_limit_in_bytes(const std::string& folder) {
  return read_integer(folder + "/memory.limit_in_bytes");
}
Result<> set_memory_memsw_limit_in_bytes(const std::string& folder, int64_t bytes) {
  return write_number(folder, "/memory.memsw.limit_in_bytes", bytes);
}
bool has_memory_memsw(const std::string& folder) {
  return exists(folder + "/memory.memsw.limit_in_bytes");
}
Result<int64_t> memory_usage_in_bytes(const std::string& folder) {
  return read_integer(folder + "/memory.usage_in_bytes");
}
Result<int64_t> memory_stat_total_inactive_file(const std::string& folder) {
  return read_keyed(folder + "/memory.stat", "total_inactive_file");
}
Result<int64_t> memory_oom_control_oom_kill(const std::string& folder) {
  return read_keyed(folder + "/memory.oom_control", "oom_kill");
}
Result<> set_pids_max(const std::string& folder, int64_t count) {
  return write_in_place(folder + "/pids.max", count < 0 ? "max" : fmt::format("{}", count));
}
Result<int64_t> pids_current(const std::string& folder) {
  return read_integer(folder + "/pids.current");
}
Result<> set_blkio_weight(const std::string& folder, int64_t weight) {
  for (const char* file : {"/blkio.bfq.weight", "/blkio.weight"})
    if (exists(folder + file)) return write_number(folder, file, weight);
  return fail(ErrorCode::kUnsupported, "this kernel has no block IO weights", folder);
}
bool has_blkio_weight(const std::string& folder) {
  return exists(folder + "/blkio.bfq.weight") || exists(folder + "/blkio.weight");
}

Result<IoBytes> blkio_io_service_bytes(const std::string& folder) {
  BERTH_TRY(const std::string text,
            read_file(folder + "/blkio.throttle.io_service_bytes_recursive"));
  IoBytes total;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split(line, ' ');  // `8:0 Read 4096`
    if (words.size() != 3) continue;
    int64_t bytes = 0;
    std::from_chars(words[2].data(), words[2].data() + words[2].size(), bytes);
    if (words[1] == "Read") total.read += bytes;
    if (words[1] == "Write") total.written += bytes;
  }
  return total;
}

}  // namespace berth::node::cgroup_v1
