#include "node/host/host.h"

#include <algorithm>
#include <charconv>
#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "node/files.h"
#include "platform/process.h"

namespace berth::node {
namespace {

constexpr int kCapSysResource = 24;

uint64_t effective_capabilities() {
  const std::string status = read_file("/proc/self/status").value_or("");
  const size_t at = status.find("CapEff:\t");
  uint64_t out = 0;
  if (at != std::string::npos)
    std::from_chars(status.data() + at + 8, status.data() + status.size(), out, 16);
  return out;
}

int64_t memory_total() {
  const std::string text = read_file("/proc/meminfo").value_or("");
  const size_t at = text.find("MemTotal:");
  if (at == std::string::npos) return 0;
  const std::string_view digits = trim(std::string_view(text).substr(at + 9));
  int64_t kib = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), kib);
  return kib * 1024;
}

/// Is any disk under a scheduler that obeys weights?
bool weights_obeyed(const CgroupTree& cgroups) {
  if (cgroups.version() == CgroupTree::Version::kV2) {
    const auto cost = read_file(cgroups.folder("io", "/io.cost.qos"));
    if (cost && cost->find("enable=1") != std::string::npos) return true;
  }
  platform::ProcessOptions list;
  list.argv = {"ls", "/sys/block"};
  const auto names = platform::run_process(list);
  if (!names) return false;
  for (const std::string_view name : split(names->output, '\n')) {
    const auto scheduler = read_file(fmt::format("/sys/block/{}/queue/scheduler", name));
    if (scheduler && scheduler->find("[bfq]") != std::string::npos) return true;
  }
  return false;
}

std::string os_image() {
  const std::string text = read_file("/etc/os-release").value_or("");
  for (const std::string_view line : split(text, '\n'))
    if (line.starts_with("PRETTY_NAME=")) {
      std::string_view value = line.substr(12);
      if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
      return std::string(value);
    }
  return "Linux";
}

std::string own_address() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return "127.0.0.1";
  std::string found;
  for (const ifaddrs* i = list; i != nullptr && found.empty(); i = i->ifa_next) {
    if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_INET) continue;
    const std::string_view name = i->ifa_name;
    // Addresses that only pods know are no use to others.
    if ((i->ifa_flags & IFF_LOOPBACK) != 0 || (i->ifa_flags & IFF_UP) == 0 ||
        name.starts_with("berth") || name.starts_with("veth") || name.starts_with("docker") ||
        name.starts_with("cni"))
      continue;
    char text[INET_ADDRSTRLEN] = {};
    const auto* address = reinterpret_cast<const sockaddr_in*>(i->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) found = text;
  }
  ::freeifaddrs(list);
  return found.empty() ? "127.0.0.1" : found;
}

}  // namespace

Result<> check_host() {
  std::string missing;
  std::string packages;
  const auto lacks = [&](std::string_view what) {
    missing += fmt::format("{}{}", missing.empty() ? "" : ", ", what);
  };
  if (::geteuid() != 0) lacks("root (start it with `sudo berth serve`)");
  for (const char* program : {"runc", "conmon"})
    if (platform::find_program(program).empty()) {
      lacks(program);
      packages += fmt::format(" {}", program);
    }
  const std::string file_systems = read_file("/proc/filesystems").value_or("");
  if (file_systems.find("overlay") == std::string::npos) {
    platform::ProcessOptions load;
    load.argv = {"modprobe", "overlay"};
    if (!platform::run_checked(load)) lacks("the kernel's overlay file system (modprobe overlay)");
  }
  if (const auto table = read_file("/proc/self/mountinfo"); !table || !CgroupTree::detect(*table))
    lacks("a mounted cgroup file system (mount -t cgroup2 none /sys/fs/cgroup)");
  if (missing.empty()) return {};
  return fail(ErrorCode::kUnsupported, "this machine cannot run pods, it lacks: " + missing, {},
              packages.empty() ? std::string() : "sudo apt-get install" + packages);
}

Result<HostFindings> examine_host(const CgroupTree& cgroups, const std::string& cgroup_root) {
  HostFindings out;
  const std::string trial = cgroup_root + "/trial";
  BERTH_CHECK(cgroups.ensure(trial));
  out.abilities.memory_bytes = memory_total();
  out.abilities.cgroup_namespace = cgroups.version() == CgroupTree::Version::kV2;
  out.abilities.limit_swap = cgroups.limits_swap(trial);
  out.abilities.weigh_io = cgroups.weighs_io(trial);
  out.abilities.kill_together = cgroups.kills_together(trial);
  if (!out.abilities.weigh_io)
    out.limits.push_back(
        "Block IO is not weighted by class: this kernel has no blkio.weight, blkio.bfq.weight or "
        "io.weight.");
  else if (!weights_obeyed(cgroups))
    out.limits.push_back(
        "Block IO weights are set but no disk obeys them: none uses the bfq scheduler, and io.cost "
        "is not enabled.");
  for (const char* controller : {"cpu", "memory", "pids"})
    if (!cgroups.has(controller, trial))
      out.limits.push_back(fmt::format(
          "There is no cgroup controller `{}`: its limits are not enforced.", controller));
  if (!out.abilities.limit_swap)
    out.limits.push_back("Memory limits do not count swap: the kernel has no swap accounting.");
  BERTH_CHECK(cgroups.remove(trial));

  if ((effective_capabilities() & (uint64_t{1} << kCapSysResource)) == 0) {
    out.abilities.lowest_oom_score_adj =
        static_cast<int>(read_integer("/proc/self/oom_score_adj").value_or(0));
    out.limits.push_back(fmt::format(
        "Berth lacks CAP_SYS_RESOURCE: Guaranteed pods get oom_score_adj {} instead of -997.",
        out.abilities.lowest_oom_score_adj));
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const bool may_raise = (effective_capabilities() & (uint64_t{1} << kCapSysResource)) != 0;
  out.abilities.most_files = may_raise
                                 ? out.abilities.most_files
                                 : std::min<uint64_t>(out.abilities.most_files, files.rlim_max);
  if (!may_raise && files.rlim_max < 65'536)
    out.limits.push_back(fmt::format(
        "Containers may open {} files at most: that is this process's own limit.", files.rlim_max));
  return out;
}

MachineFacts machine_facts(const std::string& data_dir) {
  MachineFacts out;
  out.cpus = std::max(1U, std::thread::hardware_concurrency());
  out.memory_bytes = memory_total();
  struct statvfs disk{};
  if (::statvfs(data_dir.c_str(), &disk) == 0)
    out.disk_bytes = static_cast<int64_t>(disk.f_blocks) * static_cast<int64_t>(disk.f_frsize);
  utsname names{};
  ::uname(&names);
  out.kernel = names.release;
  const std::string_view machine = names.machine;
  out.architecture = machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
  out.os_image = os_image();
  out.machine_id = trim(read_file("/etc/machine-id").value_or(""));
  out.boot_id = trim(read_file("/proc/sys/kernel/random/boot_id").value_or(""));
  platform::ProcessOptions version;
  version.argv = {"runc", "--version"};
  if (const auto result = platform::run_process(version))
    out.runtime_version = split(split(result->output, '\n').front(), ' ').back();
  out.address = own_address();
  return out;
}

}  // namespace berth::node
