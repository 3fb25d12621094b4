#include "node/cgroup/files_v2.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "node/cgroup/kernel_text.h"
#include "node/cgroup/limits.h"
#include "node/files.h"

namespace berth::node::cgroup_v2 {
namespace {

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::string number_or_max(int64_t value) {
  return value < 0 ? "max" : fmt::format("{}", value);
}

Result<int64_t> read_keyed(const std::string& path, std::string_view key) {
  BERTH_TRY(const std::string text, read_file(path));
  if (const auto value = flat_keyed(text, key)) return *value;
  return fail(ErrorCode::kUnsupported, fmt::format("no line `{}`", key), path);
}

}  // namespace

Result<std::string> cgroup_controllers(const std::string& folder) {
  return read_file(folder + "/cgroup.controllers");
}
Result<std::string> cgroup_subtree_control(const std::string& folder) {
  return read_file(folder + "/cgroup.subtree_control");
}
Result<> enable_in_subtree(const std::string& folder, const std::string& controller) {
  return write_in_place(folder + "/cgroup.subtree_control", "+" + controller);
}
Result<> set_cgroup_kill(const std::string& folder) {
  return write_in_place(folder + "/cgroup.kill", "1");
}
Result<> set_cpu_weight(const std::string& folder, int64_t weight) {
  return write_in_place(folder + "/cpu.weight", fmt::format("{}", weight));
}
Result<int64_t> cpu_weight(const std::string& folder) {
  return read_integer(folder + "/cpu.weight");
}
Result<> set_cpu_max(const std::string& folder, int64_t quota_us, int64_t period_us) {
  return write_in_place(folder + "/cpu.max",
                        fmt::format("{} {}", number_or_max(quota_us), period_us));
}
Result<int64_t> cpu_stat_usage_usec(const std::string& folder) {
  return read_keyed(folder + "/cpu.stat", "usage_usec");
}
Result<> set_memory_max(const std::string& folder, int64_t bytes) {
  return write_in_place(folder + "/memory.max", number_or_max(bytes));
}
Result<> set_memory_swap_max(const std::string& folder, int64_t bytes) {
  return write_in_place(folder + "/memory.swap.max", number_or_max(bytes));
}
bool has_memory_swap(const std::string& folder) {
  return exists(folder + "/memory.swap.max");
}
bool has_memory_oom_group(const std::string& folder) {
  return exists(folder + "/memory.oom.group");
}
Result<int64_t> memory_current(const std::string& folder) {
  return read_integer(folder + "/memory.current");
}
Result<int64_t> memory_stat_active_file(const std::string& folder) {
  return read_keyed(folder + "/memory.stat", "active_file");
}
Result<int64_t> memory_stat_inactive_file(const std::string& folder) {
  return read_keyed(folder + "/memory.stat", "inactive_file");
}
Result<int64_t> memory_events_oom_kill(const std::string& folder) {
  return read_keyed(folder + "/memory.events", "oom_kill");
}
Result<> set_pids_max(const std::string& folder, int64_t count) {
  return write_in_place(folder + "/pids.max", number_or_max(count));
}
Result<int64_t> pids_current(const std::string& folder) {
  return read_integer(folder + "/pids.current");
}
Result<> set_io_weight(const std::string& folder, int64_t blkio_weight) {
  if (!has_io_weight(folder))
    return fail(ErrorCode::kUnsupported, "this kernel has no block IO weights", folder);
  if (exists(folder + "/io.bfq.weight"))
    BERTH_CHECK(write_in_place(folder + "/io.bfq.weight",
                               fmt::format("{}", std::clamp<int64_t>(blkio_weight, 1, 1000))));
  if (exists(folder + "/io.weight"))
    BERTH_CHECK(write_in_place(folder + "/io.weight",
                               fmt::format("{}", io_weight_from_blkio(blkio_weight))));
  return {};
}
bool has_io_weight(const std::string& folder) {
  return exists(folder + "/io.bfq.weight") || exists(folder + "/io.weight");
}

Result<cgroup_v1::IoBytes> io_stat(const std::string& folder) {
  BERTH_TRY(const std::string text, read_file(folder + "/io.stat"));
  cgroup_v1::IoBytes total;
  for (const std::string_view line : split(text, '\n'))
    for (const std::string_view word : split(line, ' ')) {  // `8:0 rbytes=1 wbytes=2 rios=...`
      const size_t equals = word.find('=');
      if (equals == std::string_view::npos) continue;
      int64_t value = 0;
      std::from_chars(word.data() + equals + 1, word.data() + word.size(), value);
      if (word.substr(0, equals) == "rbytes") total.read += value;
      if (word.substr(0, equals) == "wbytes") total.written += value;
    }
  return total;
}

}  // namespace berth::node::cgroup_v2
