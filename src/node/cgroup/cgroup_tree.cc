#include "node/cgroup/cgroup_tree.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <set>

#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "node/cgroup/files_v1.h"
#include "node/cgroup/files_v2.h"
#include "node/files.h"

namespace berth::node {
namespace {

constexpr std::array kLimiting = {"cpu", "memory", "pids", "blkio"};
constexpr std::array kV2Controllers = {"cpu", "memory", "pids", "io", "cpuset"};

bool contains_word(std::string_view text, std::string_view word) {
  const auto words = split(trim(text), ' ');
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::vector<std::string> sub_folders(const std::string& folder) {
  std::vector<std::string> out;
  DIR* listing = ::opendir(folder.c_str());
  if (listing == nullptr) return out;
  while (const dirent* entry = ::readdir(listing))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') out.emplace_back(entry->d_name);
  ::closedir(listing);
  return out;
}

void read_pids(const std::string& folder, std::set<pid_t>& into) {
  if (const auto text = read_file(folder + "/cgroup.procs"))
    for (const std::string_view line : split(*text, '\n')) {
      pid_t pid = 0;
      std::from_chars(line.data(), line.data() + line.size(), pid);
      if (pid > 0) into.insert(pid);
    }
  for (const std::string& child : sub_folders(folder)) read_pids(folder + "/" + child, into);
}

Result<> remove_folder(const std::string& folder) {
  for (const std::string& child : sub_folders(folder)) {
    BERTH_CHECK(remove_folder(folder + "/" + child));
  }
  // Killed processes leave their cgroup a moment after they are gone for their parent.
  for (int tries = 0;; ++tries) {
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return {};
    if (errno != EBUSY || tries == 200) return errno_error("cannot remove the cgroup", folder);
    ::poll(nullptr, 0, 5);
  }
}

/// A cgroup that holds processes itself gives its children no controllers, the root excepted.
Result<> enable_for_children(const std::string& folder, const std::string& controller) {
  auto enabled = cgroup_v2::enable_in_subtree(folder, controller);
  if (enabled || trim(read_file(folder + "/cgroup.procs").value_or("")).empty()) return enabled;
  return fail(ErrorCode::kUnsupported,
              fmt::format("processes run in this cgroup itself, so that cgroup v2 lets it give "
                          "children no controller (`{}` is wanted)",
                          controller),
              folder,
              "move them into a child, or name a cgroup without processes by --cgroup-root; "
              "docs/service.md says more");
}

/// v1 refuses a limit that what is in use does not fit in; v2 would take it, and kill.
Result<> check_in_use_fits(const std::string& folder, int64_t bytes) {
  const auto current = cgroup_v2::memory_current(folder);
  if (bytes < 0 || !current) return {};
  const int64_t in_use = *current - cgroup_v2::memory_stat_active_file(folder).value_or(0) -
                         cgroup_v2::memory_stat_inactive_file(folder).value_or(0);
  if (in_use <= bytes) return {};
  return fail(
      ErrorCode::kConflict,
      fmt::format("{} bytes of memory are in use, more than the new limit of {}", in_use, bytes),
      folder, "give it more, or restart it with the smaller limit");
}

/// Takes a Result that may say "this kernel has no such thing".
Result<> where_supported(Result<> result) {
  if (!result && (result.error().code == ErrorCode::kUnsupported ||
                  result.error().code == ErrorCode::kNotFound))
    return {};
  return result;
}

}  // namespace

Result<CgroupTree> CgroupTree::detect(const std::string& mount_table) {
  CgroupTree tree;
  for (const std::string_view line : split(mount_table, '\n')) {
    const size_t separator = line.find(" - ");
    const auto before = split(line.substr(0, separator), ' ');
    if (separator == std::string_view::npos || before.size() < 5) continue;
    const auto after = split(line.substr(separator + 3), ' ');
    if (after.size() < 3) continue;
    const std::string point(before[4]);
    if (after[0] == "cgroup2" && tree.v2_.empty()) tree.v2_ = point;
    if (after[0] == "cgroup")
      for (const std::string_view option : split(after[2], ','))
        if (option != "rw" && option != "ro" && !option.starts_with("release_agent"))
          tree.v1_.emplace(option, point);
  }
  if (tree.v1_.contains("memory") || tree.v1_.contains("cpu")) {
    tree.version_ = tree.v2_.empty() ? Version::kV1 : Version::kHybrid;
    return tree;
  }
  if (tree.v2_.empty())
    return fail(ErrorCode::kUnsupported, "no cgroup file system is mounted", "/sys/fs/cgroup",
                "mount it: mount -t cgroup2 none /sys/fs/cgroup");
  tree.version_ = Version::kV2;
  return tree;
}

bool CgroupTree::has(const std::string& controller, const std::string& path) const {
  if (version_ != Version::kV2) return v1_.contains(controller);
  const auto controllers = cgroup_v2::cgroup_controllers(v2_ + path);
  return controllers && contains_word(*controllers, controller == "blkio" ? "io" : controller);
}

std::string CgroupTree::folder(const std::string& controller, const std::string& path) const {
  if (version_ == Version::kV2) return v2_ + path;
  const auto found = v1_.find(controller);
  return found == v1_.end() ? std::string() : found->second + path;
}

std::vector<std::string> CgroupTree::folders(const std::string& path) const {
  std::set<std::string> out;
  for (const auto& [controller, point] : v1_) out.insert(point + path);
  if (!v2_.empty()) out.insert(v2_ + path);
  return {out.begin(), out.end()};
}

Result<> CgroupTree::ensure(const std::string& path) const {
  if (version_ != Version::kV2) {
    for (const char* controller : kLimiting)
      if (const std::string at = folder(controller, path); !at.empty())
        BERTH_CHECK(make_directories(at));
    return {};
  }
  BERTH_CHECK(make_directories(v2_ + path));
  // Children have a controller only where every ancestor enables it.
  std::string at = v2_;
  for (const std::string_view part : split(std::string_view(path).substr(1), '/')) {
    const auto available = cgroup_v2::cgroup_controllers(at);
    const auto enabled = cgroup_v2::cgroup_subtree_control(at);
    for (const char* controller : kV2Controllers)
      if (available && enabled && contains_word(*available, controller) &&
          !contains_word(*enabled, controller))
        BERTH_CHECK(enable_for_children(at, controller));
    at += fmt::format("/{}", part);
  }
  return {};
}

Result<> CgroupTree::apply(const std::string& path, const CgroupLimits& limits) const {
  if (version_ == Version::kV2) {
    const std::string at = v2_ + path;
    if (limits.cpu_shares)
      BERTH_CHECK(cgroup_v2::set_cpu_weight(at, weight_from_shares(*limits.cpu_shares)));
    if (limits.cpu_quota_us)
      BERTH_CHECK(cgroup_v2::set_cpu_max(at, *limits.cpu_quota_us, kCpuPeriodUs));
    if (limits.memory_bytes) {
      BERTH_CHECK(check_in_use_fits(at, *limits.memory_bytes));
      BERTH_CHECK(cgroup_v2::set_memory_max(at, *limits.memory_bytes));
      // v2 counts swap apart: none beside a limit.
      BERTH_CHECK(
          where_supported(cgroup_v2::set_memory_swap_max(at, *limits.memory_bytes < 0 ? -1 : 0)));
    }
    if (limits.pids) BERTH_CHECK(cgroup_v2::set_pids_max(at, *limits.pids));
    if (limits.io_weight)
      BERTH_CHECK(where_supported(cgroup_v2::set_io_weight(at, *limits.io_weight)));
    return {};
  }
  const std::string cpu = folder("cpu", path);
  if (limits.cpu_shares && !cpu.empty())
    BERTH_CHECK(cgroup_v1::set_cpu_shares(cpu, *limits.cpu_shares));
  if (limits.cpu_quota_us && !cpu.empty()) {
    BERTH_CHECK(cgroup_v1::set_cpu_cfs_period_us(cpu, kCpuPeriodUs));
    BERTH_CHECK(cgroup_v1::set_cpu_cfs_quota_us(cpu, *limits.cpu_quota_us));
  }
  if (const std::string memory = folder("memory", path); limits.memory_bytes && !memory.empty()) {
    const bool swap = cgroup_v1::has_memory_memsw(memory);
    // The limit with swap may never be below the one without: the order depends on the direction.
    const auto grow = swap
                          ? cgroup_v1::set_memory_memsw_limit_in_bytes(memory, *limits.memory_bytes)
                          : Result<>{};
    BERTH_CHECK(cgroup_v1::set_memory_limit_in_bytes(memory, *limits.memory_bytes));
    if (swap && !grow)
      BERTH_CHECK(cgroup_v1::set_memory_memsw_limit_in_bytes(memory, *limits.memory_bytes));
  }
  if (const std::string pids = folder("pids", path); limits.pids && !pids.empty())
    BERTH_CHECK(cgroup_v1::set_pids_max(pids, *limits.pids));
  if (const std::string io = folder("blkio", path); limits.io_weight && !io.empty())
    BERTH_CHECK(where_supported(cgroup_v1::set_blkio_weight(io, *limits.io_weight)));
  return {};
}

Result<> CgroupTree::remove(const std::string& path) const {
  if (version_ != Version::kV2 || !cgroup_v2::set_cgroup_kill(v2_ + path))
    for (const pid_t pid : processes(path)) ::kill(pid, SIGKILL);
  Result<> outcome;
  for (const std::string& at : folders(path))
    if (auto removed = remove_folder(at); !removed) outcome = removed;
  return outcome;
}

void CgroupTree::remove_if_unused(const std::string& path) const {
  for (const std::string& at : folders(path)) {
    // What ended a moment ago may still be in it (conmon outlives its container a little).
    for (int tries = 0; ::rmdir(at.c_str()) != 0 && errno == EBUSY && tries < 50; ++tries) {
      if (!sub_folders(at).empty()) break;
      ::poll(nullptr, 0, 10);
    }
  }
}

Result<CgroupUsage> CgroupTree::usage(const std::string& path) const {
  CgroupUsage out;
  if (version_ == Version::kV2) {
    const std::string at = v2_ + path;
    BERTH_TRY(const int64_t cpu_us, cgroup_v2::cpu_stat_usage_usec(at));
    out.cpu_ns = cpu_us * 1000;
    const int64_t cache = cgroup_v2::memory_stat_inactive_file(at).value_or(0);
    out.memory_bytes = std::max<int64_t>(cgroup_v2::memory_current(at).value_or(0) - cache, 0);
    const auto io = cgroup_v2::io_stat(at).value_or(cgroup_v1::IoBytes{});
    out.io_read_bytes = io.read;
    out.io_written_bytes = io.written;
    out.pids = cgroup_v2::pids_current(at).value_or(0);
    return out;
  }
  BERTH_TRY(out.cpu_ns, cgroup_v1::cpuacct_usage(folder("cpuacct", path)));
  const std::string memory = folder("memory", path);
  const int64_t cache = cgroup_v1::memory_stat_total_inactive_file(memory).value_or(0);
  out.memory_bytes =
      std::max<int64_t>(cgroup_v1::memory_usage_in_bytes(memory).value_or(0) - cache, 0);
  const auto io =
      cgroup_v1::blkio_io_service_bytes(folder("blkio", path)).value_or(cgroup_v1::IoBytes{});
  out.io_read_bytes = io.read;
  out.io_written_bytes = io.written;
  out.pids = cgroup_v1::pids_current(folder("pids", path)).value_or(0);
  return out;
}

Result<int64_t> CgroupTree::oom_kills(const std::string& path) const {
  if (version_ == Version::kV2) return cgroup_v2::memory_events_oom_kill(v2_ + path);
  return cgroup_v1::memory_oom_control_oom_kill(folder("memory", path));
}

std::vector<pid_t> CgroupTree::processes(const std::string& path) const {
  std::set<pid_t> out;
  for (const std::string& at : folders(path)) read_pids(at, out);
  return {out.begin(), out.end()};
}

std::vector<std::string> CgroupTree::children(const std::string& path) const {
  return sub_folders(version_ == Version::kV2 ? v2_ + path : folder("memory", path));
}

bool CgroupTree::limits_swap(const std::string& path) const {
  return version_ == Version::kV2 ? cgroup_v2::has_memory_swap(v2_ + path)
                                  : cgroup_v1::has_memory_memsw(folder("memory", path));
}

bool CgroupTree::weighs_io(const std::string& path) const {
  return version_ == Version::kV2 ? cgroup_v2::has_io_weight(v2_ + path)
                                  : cgroup_v1::has_blkio_weight(folder("blkio", path));
}

bool CgroupTree::kills_together(const std::string& path) const {
  return version_ == Version::kV2 && cgroup_v2::has_memory_oom_group(v2_ + path);
}

std::string CgroupTree::manager_procs_file(const std::string& path) const {
  const auto systemd = v1_.find("name=systemd");
  if (version_ == Version::kV2) return v2_ + path + "/cgroup.procs";
  if (systemd != v1_.end()) return systemd->second + path + "/cgroup.procs";
  return {};
}

}  // namespace berth::node
