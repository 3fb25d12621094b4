#include "node/runtime/seccomp.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string_view>

#include <linux/sched.h>
#include <sys/socket.h>

namespace berth::node {
namespace {

constexpr const char* kAllowed[] = {
#include "node/runtime/default_syscalls.inc"
};

/// Calls that need a capability anyway: with it they are allowed, without it denied early.
struct CapabilityCalls {
  std::string_view capability;
  std::vector<std::string_view> calls;
};
const std::vector<CapabilityCalls>& calls_by_capability() {
  static const std::vector<CapabilityCalls> kTable = {
      CapabilityCalls{"CAP_SYS_CHROOT", {"chroot"}},
      CapabilityCalls{"CAP_SYS_NICE", {"process_madvise"}},
      CapabilityCalls{"CAP_DAC_READ_SEARCH", {"open_by_handle_at"}},
      CapabilityCalls{"CAP_SYS_TIME",
                      {"clock_settime", "clock_settime64", "settimeofday", "stime", "clock_adjtime",
                       "clock_adjtime64"}},
      CapabilityCalls{"CAP_SYS_MODULE", {"delete_module", "init_module", "finit_module"}},
      CapabilityCalls{"CAP_SYS_BOOT", {"reboot"}},
      CapabilityCalls{"CAP_SYS_PACCT", {"acct"}},
      CapabilityCalls{"CAP_SYS_RAWIO", {"iopl", "ioperm"}},
      CapabilityCalls{"CAP_SYS_TTY_CONFIG", {"vhangup"}},
      CapabilityCalls{"CAP_SYSLOG", {"syslog"}},
      CapabilityCalls{"CAP_BPF", {"bpf"}},
      CapabilityCalls{"CAP_PERFMON", {"perf_event_open"}},
      CapabilityCalls{
          "CAP_SYS_ADMIN",
          {"bpf",         "clone",         "clone3",      "fanotify_init",   "fsconfig",
           "fsmount",     "fsopen",        "fspick",      "mount",           "mount_setattr",
           "move_mount",  "open_tree",     "pivot_root",  "perf_event_open", "quotactl",
           "quotactl_fd", "setdomainname", "sethostname", "setns",           "syslog",
           "umount",      "umount2",       "unshare"}},
  };
  return kTable;
}

/// Namespaces are made by runc, not by what runs in it: this is what `clone` may not ask for.
constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                     CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

JsonObject rule(JsonArray names, std::string_view action) {
  return {{"names", std::move(names)}, {"action", action}};
}

JsonObject argument(int index, uint64_t value, std::string_view op, uint64_t second = 0) {
  JsonObject out = {{"index", index}, {"value", value}, {"op", op}};
  if (op == "SCMP_CMP_MASKED_EQ") out["valueTwo"] = second;
  return out;
}

}  // namespace

Json default_seccomp(const std::vector<std::string>& capabilities) {
  const auto has = [&](std::string_view name) {
    return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
  };
  JsonArray rules;
  JsonArray names;
  for (const char* name : kAllowed) names.emplace_back(name);
  for (const CapabilityCalls& row : calls_by_capability())
    if (has(row.capability))
      for (const std::string_view call : row.calls) names.emplace_back(call);
  rules.emplace_back(rule(std::move(names), "SCMP_ACT_ALLOW"));

  // Address families: all but virtio sockets (they reach the hypervisor's host side by design).
  JsonObject sockets = rule({"socket"}, "SCMP_ACT_ALLOW");
  sockets["args"] = JsonArray{argument(0, AF_VSOCK, "SCMP_CMP_NE")};
  rules.emplace_back(std::move(sockets));

  // Execution domains: Linux, with and without the 32-bit and randomisation flags, and the query.
  for (const uint64_t persona : {0x0ULL, 0x8ULL, 0x20000ULL, 0x20008ULL, 0xffffffffULL}) {
    JsonObject personality = rule({"personality"}, "SCMP_ACT_ALLOW");
    personality["args"] = JsonArray{argument(0, persona, "SCMP_CMP_EQ")};
    rules.emplace_back(std::move(personality));
  }
  if (!has("CAP_SYS_ADMIN")) {
    JsonObject clone = rule({"clone"}, "SCMP_ACT_ALLOW");
    clone["args"] = JsonArray{argument(0, kNamespaceFlags, "SCMP_CMP_MASKED_EQ", 0)};
    rules.emplace_back(std::move(clone));
    // Its flags are behind a pointer, which a filter cannot read; libraries then use `clone`.
    JsonObject clone3 = rule({"clone3"}, "SCMP_ACT_ERRNO");
    clone3["errnoRet"] = ENOSYS;
    rules.emplace_back(std::move(clone3));
  }
  return JsonObject{{"defaultAction", "SCMP_ACT_ERRNO"},
                    {"defaultErrnoRet", EPERM},
#if defined(__x86_64__)
                    {"architectures", {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}},
#elif defined(__aarch64__)
                    {"architectures", {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"}},
#endif
                    {"syscalls", std::move(rules)}};
}

}  // namespace berth::node
