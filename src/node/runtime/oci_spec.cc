#include "node/runtime/oci_spec.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "node/runtime/seccomp.h"

namespace berth::node {
namespace {

constexpr std::array kCapabilityNames = {"CAP_CHOWN",
                                         "CAP_DAC_OVERRIDE",
                                         "CAP_DAC_READ_SEARCH",
                                         "CAP_FOWNER",
                                         "CAP_FSETID",
                                         "CAP_KILL",
                                         "CAP_SETGID",
                                         "CAP_SETUID",
                                         "CAP_SETPCAP",
                                         "CAP_LINUX_IMMUTABLE",
                                         "CAP_NET_BIND_SERVICE",
                                         "CAP_NET_BROADCAST",
                                         "CAP_NET_ADMIN",
                                         "CAP_NET_RAW",
                                         "CAP_IPC_LOCK",
                                         "CAP_IPC_OWNER",
                                         "CAP_SYS_MODULE",
                                         "CAP_SYS_RAWIO",
                                         "CAP_SYS_CHROOT",
                                         "CAP_SYS_PTRACE",
                                         "CAP_SYS_PACCT",
                                         "CAP_SYS_ADMIN",
                                         "CAP_SYS_BOOT",
                                         "CAP_SYS_NICE",
                                         "CAP_SYS_RESOURCE",
                                         "CAP_SYS_TIME",
                                         "CAP_SYS_TTY_CONFIG",
                                         "CAP_MKNOD",
                                         "CAP_LEASE",
                                         "CAP_AUDIT_WRITE",
                                         "CAP_AUDIT_CONTROL",
                                         "CAP_SETFCAP",
                                         "CAP_MAC_OVERRIDE",
                                         "CAP_MAC_ADMIN",
                                         "CAP_SYSLOG",
                                         "CAP_WAKE_ALARM",
                                         "CAP_BLOCK_SUSPEND",
                                         "CAP_AUDIT_READ",
                                         "CAP_PERFMON",
                                         "CAP_BPF",
                                         "CAP_CHECKPOINT_RESTORE"};

constexpr std::array kMaskedPaths = {"/proc/acpi",
                                     "/proc/asound",
                                     "/proc/interrupts",
                                     "/proc/kcore",
                                     "/proc/keys",
                                     "/proc/latency_stats",
                                     "/proc/sched_debug",
                                     "/proc/scsi",
                                     "/proc/timer_list",
                                     "/proc/timer_stats",
                                     "/sys/devices/virtual/powercap",
                                     "/sys/firmware"};
constexpr std::array kReadOnlyPaths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                       "/proc/sysrq-trigger"};

JsonArray array_of(const auto& strings) {
  JsonArray out;
  for (const auto& s : strings) out.emplace_back(std::string_view(s));
  return out;
}

JsonObject filesystem(std::string_view target, std::string_view type, std::string_view source,
                      JsonArray options) {
  return {
      {"destination", target}, {"type", type}, {"source", source}, {"options", std::move(options)}};
}

JsonArray mounts_of(const OciContainer& c) {
  const auto given = [&](std::string_view target) {
    for (const OciMount& m : c.mounts)
      if (m.target == target) return true;
    return false;
  };
  const std::string_view sys_access = c.privileged ? "rw" : "ro";
  JsonArray out;
  if (c.pid.kind == OciNamespace::Kind::kHost)
    out.emplace_back(filesystem("/proc", "bind", "/proc", {"rbind", "nosuid", "noexec", "nodev"}));
  else
    out.emplace_back(filesystem("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
  out.emplace_back(
      filesystem("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}));
  out.emplace_back(
      filesystem("/dev/pts", "devpts", "devpts",
                 {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
  out.emplace_back(filesystem("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}));
  if (!given("/dev/shm"))
    out.emplace_back(filesystem("/dev/shm", "tmpfs", "shm",
                                {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}));
  // With the machine's network namespace the kernel refuses a fresh sysfs.
  if (c.network.kind == OciNamespace::Kind::kHost)
    out.emplace_back(
        filesystem("/sys", "bind", "/sys", {"rbind", "nosuid", "noexec", "nodev", sys_access}));
  else
    out.emplace_back(
        filesystem("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", sys_access}));
  out.emplace_back(filesystem("/sys/fs/cgroup", "cgroup", "cgroup",
                              {"nosuid", "noexec", "nodev", "relatime", sys_access}));
  for (const OciMount& m : c.mounts) {
    JsonArray options = array_of(m.options);
    if (m.type == "bind") options.emplace_back("rbind");
    options.emplace_back(m.read_only ? "ro" : "rw");
    out.emplace_back(filesystem(m.target, m.type, m.source, std::move(options)));
  }
  return out;
}

JsonObject namespace_of(std::string_view type, const OciNamespace& ns) {
  JsonObject out = {{"type", type}};
  if (ns.kind == OciNamespace::Kind::kPath) out["path"] = ns.path;
  return out;
}

JsonArray namespaces_of(const OciContainer& c) {
  JsonArray out;
  out.emplace_back(JsonObject{{"type", "mount"}});
  const std::array<std::pair<std::string_view, const OciNamespace*>, 4> rest = {
      {{"pid", &c.pid}, {"network", &c.network}, {"ipc", &c.ipc}, {"uts", &c.uts}}};
  for (const auto& [type, ns] : rest)
    if (ns->kind != OciNamespace::Kind::kHost) out.emplace_back(namespace_of(type, *ns));
  if (c.cgroup_namespace) out.emplace_back(JsonObject{{"type", "cgroup"}});
  return out;
}

JsonObject resources_of(const OciContainer& c, const JsonArray& device_rules) {
  JsonObject out;
  out["devices"] = device_rules;
  JsonObject cpu;
  if (c.limits.cpu_shares) cpu["shares"] = *c.limits.cpu_shares;
  if (c.limits.cpu_quota_us) {
    cpu["quota"] = *c.limits.cpu_quota_us;
    cpu["period"] = kCpuPeriodUs;
  }
  if (!cpu.empty()) out["cpu"] = std::move(cpu);
  if (c.limits.memory_bytes) {
    JsonObject memory = {{"limit", *c.limits.memory_bytes}};
    if (c.limit_swap) memory["swap"] = *c.limits.memory_bytes;
    out["memory"] = std::move(memory);
  }
  if (c.oom_kills_all) out["unified"] = JsonObject{{"memory.oom.group", "1"}};
  if (c.limits.pids) out["pids"] = JsonObject{{"limit", *c.limits.pids}};
  if (c.limits.io_weight) out["blockIO"] = JsonObject{{"weight", *c.limits.io_weight}};
  return out;
}

struct DeviceJson {
  JsonObject node;
  JsonObject rule;
};

Result<DeviceJson> device_json(const DeviceNode& device) {
  const std::string& path = device.host_path.empty() ? device.path : device.host_path;
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("no device: {}", std::strerror(errno)), path);
  if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode))
    return fail(ErrorCode::kInvalid, "not a device", path);
  const std::string_view type = S_ISCHR(status.st_mode) ? "c" : "b";
  const int64_t major_number = major(status.st_rdev);
  const int64_t minor_number = minor(status.st_rdev);
  return DeviceJson{{{"path", device.path},
                     {"type", type},
                     {"major", major_number},
                     {"minor", minor_number},
                     {"fileMode", static_cast<int64_t>(status.st_mode & 0777)},
                     {"uid", static_cast<int64_t>(status.st_uid)},
                     {"gid", static_cast<int64_t>(status.st_gid)}},
                    {{"allow", true},
                     {"type", type},
                     {"major", major_number},
                     {"minor", minor_number},
                     {"access", device.permissions}}};
}

JsonObject process_of(const OciContainer& c) {
  const JsonArray capabilities = array_of(c.capabilities);
  // A user other than root keeps no effective set: only what a set-id or file capability would
  // raise, which no-new-privileges then forbids.
  const JsonArray active = c.uid == 0 ? capabilities : JsonArray{};
  JsonObject user = {{"uid", static_cast<int64_t>(c.uid)}, {"gid", static_cast<int64_t>(c.gid)}};
  if (!c.additional_gids.empty()) {
    JsonArray groups;
    for (const uint32_t gid : c.additional_gids) groups.emplace_back(static_cast<int64_t>(gid));
    user["additionalGids"] = std::move(groups);
  }
  JsonObject out = {
      {"terminal", c.terminal},
      {"user", std::move(user)},
      {"args", array_of(c.args)},
      {"env", array_of(c.env)},
      {"cwd", c.working_dir},
      {"capabilities",
       JsonObject{{"bounding", capabilities}, {"effective", active}, {"permitted", active}}},
      {"noNewPrivileges", c.no_new_privileges}};
  if (c.oom_score_adj) out["oomScoreAdj"] = *c.oom_score_adj;
  JsonArray rlimits;
  for (const OciRlimit& r : c.rlimits)
    rlimits.emplace_back(JsonObject{{"type", r.type}, {"soft", r.soft}, {"hard", r.hard}});
  if (!rlimits.empty()) out["rlimits"] = std::move(rlimits);
  return out;
}

JsonObject hooks_of(const OciContainer& c) {
  JsonObject out;
  for (const DeviceHook& hook : c.hooks) {
    Json& stage = out[hook.stage];
    if (!stage.is_array()) stage.emplace_array();
    stage.get_array().push_back(JsonObject{
        {"path", hook.path}, {"args", array_of(hook.args)}, {"env", array_of(hook.env)}});
  }
  return out;
}

}  // namespace

Result<Json> oci_spec(const OciContainer& c) {
  JsonArray device_nodes;
  JsonArray device_rules;
  device_rules.emplace_back(JsonObject{{"allow", c.privileged}, {"access", "rwm"}});
  for (const DeviceNode& device : c.devices) {
    BERTH_TRY(DeviceJson json, device_json(device));
    device_nodes.emplace_back(std::move(json.node));
    device_rules.emplace_back(std::move(json.rule));
  }

  JsonObject linux_part = {{"namespaces", namespaces_of(c)},
                           {"cgroupsPath", c.cgroup_path},
                           {"resources", resources_of(c, device_rules)},
                           {"rootfsPropagation", "private"}};
  if (!device_nodes.empty()) linux_part["devices"] = std::move(device_nodes);
  if (!c.privileged && !c.unmasked_proc) {
    linux_part["maskedPaths"] = array_of(kMaskedPaths);
    linux_part["readonlyPaths"] = array_of(kReadOnlyPaths);
  }
  if (!c.privileged && c.seccomp == OciContainer::Seccomp::kDefault)
    linux_part["seccomp"] = default_seccomp(c.capabilities);
  else if (!c.privileged && c.seccomp == OciContainer::Seccomp::kProfile)
    linux_part["seccomp"] = c.seccomp_profile;

  JsonObject out = {{"ociVersion", "1.0.2"},
                    {"process", process_of(c)},
                    {"root", JsonObject{{"path", c.rootfs}, {"readonly", c.read_only_root}}},
                    {"mounts", mounts_of(c)},
                    {"linux", std::move(linux_part)}};
  if (!c.hooks.empty()) out["hooks"] = hooks_of(c);
  if (!c.hostname.empty() && c.uts.kind == OciNamespace::Kind::kPrivate)
    out["hostname"] = c.hostname;
  JsonObject annotations;
  for (const auto& [key, value] : c.annotations) annotations[key] = value;
  if (!annotations.empty()) out["annotations"] = std::move(annotations);
  return Json(std::move(out));
}

const std::vector<std::string>& default_capabilities() {
  static const std::vector<std::string> kDefault = {
      "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",    "CAP_FSETID",
      "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",   "CAP_SETFCAP",
      "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT"};
  return kDefault;
}

std::vector<std::string> all_capabilities() {
  size_t last = kCapabilityNames.size() - 1;
  std::ifstream("/proc/sys/kernel/cap_last_cap") >> last;
  std::vector<std::string> out;
  for (size_t i = 0; i < kCapabilityNames.size() && i <= last; ++i)
    out.emplace_back(kCapabilityNames[i]);
  return out;
}

}  // namespace berth::node
