#include "node/runtime/oci_spec.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "node/runtime/seccomp.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_string;

OciContainer container() {
  OciContainer c;
  c.rootfs = "/r";
  c.args = {"true"};
  c.capabilities = default_capabilities();
  c.cgroup_path = "/berth/podx/c-0";
  c.network = OciNamespace::join("/run/netns/n");
  return c;
}

Json spec_of(const OciContainer& c) {
  auto spec = oci_spec(c);
  EXPECT_TRUE(spec) << spec.error().to_string();
  return *spec;
}

const Json* mount_at(const Json& spec, std::string_view target) {
  for (const Json& m : find_array(spec, {"mounts"}))
    if (find_string(m, {"destination"}) == target) return &m;
  return nullptr;
}

bool has(const JsonArray& array, std::string_view word) {
  return std::any_of(array.begin(), array.end(), [&](const Json& item) {
    return item.is_string() && std::string_view(item.get_string()) == word;
  });
}

std::string namespaces(const Json& spec) {
  std::string out;
  for (const Json& n : find_array(spec, {"linux", "namespaces"})) {
    out += find_string(n, {"type"});
    if (find(n, {"path"}) != nullptr) out += "=" + std::string(find_string(n, {"path"}));
    out += " ";
  }
  return out;
}

TEST(OciSpec, ConfinesByDefault) {
  const Json spec = spec_of(container());
  EXPECT_TRUE(find_bool(spec, {"root", "readonly"}));
  EXPECT_TRUE(find_bool(spec, {"process", "noNewPrivileges"}));
  EXPECT_EQ(namespaces(spec), "mount pid network=/run/netns/n ipc uts ");
  EXPECT_TRUE(has(find_array(spec, {"linux", "maskedPaths"}), "/proc/kcore"));
  EXPECT_TRUE(has(find_array(spec, {"linux", "readonlyPaths"}), "/proc/sys"));
  EXPECT_TRUE(has(find_array(*mount_at(spec, "/sys"), {"options"}), "ro"));
  EXPECT_FALSE(find_bool(find_array(spec, {"linux", "resources", "devices"}).at(0), {"allow"}));
  EXPECT_EQ(find(spec, {"linux", "devices"}), nullptr);
  EXPECT_NE(find(spec, {"linux", "seccomp"}), nullptr);
  for (const char* never : {"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE"})
    EXPECT_FALSE(has(find_array(spec, {"process", "capabilities", "bounding"}), never)) << never;
}

TEST(OciSpec, AnotherUserHasNoEffectiveCapabilities) {
  OciContainer c = container();
  c.uid = 1000;
  c.additional_gids = {5, 6};
  const Json spec = spec_of(c);
  EXPECT_TRUE(find_array(spec, {"process", "capabilities", "effective"}).empty());
  EXPECT_FALSE(find_array(spec, {"process", "capabilities", "bounding"}).empty());
  EXPECT_EQ(find_array(spec, {"process", "user", "additionalGids"}).size(), 2u);
}

TEST(OciSpec, LimitsAreWritten) {
  OciContainer c = container();
  c.limits.cpu_shares = 512;
  c.limits.cpu_quota_us = 50'000;
  c.limits.memory_bytes = 1 << 20;
  const Json spec = spec_of(c);
  EXPECT_EQ(find_int(spec, {"linux", "resources", "cpu", "shares"}), 512);
  EXPECT_EQ(find_int(spec, {"linux", "resources", "cpu", "quota"}), 50'000);
  EXPECT_EQ(find_int(spec, {"linux", "resources", "cpu", "period"}), 100'000);
  EXPECT_EQ(find_int(spec, {"linux", "resources", "memory", "limit"}), 1 << 20);
  EXPECT_EQ(find(spec, {"linux", "resources", "memory", "swap"}), nullptr);
  c.limit_swap = true;
  EXPECT_EQ(find_int(spec_of(c), {"linux", "resources", "memory", "swap"}), 1 << 20);
}

TEST(OciSpec, ProcessesDieTogetherWhereTheKernelCan) {
  OciContainer c = container();
  EXPECT_EQ(find(spec_of(c), {"linux", "resources", "unified"}), nullptr);
  c.oom_kills_all = true;
  EXPECT_EQ(find_string(spec_of(c), {"linux", "resources", "unified", "memory.oom.group"}), "1");
}

TEST(OciSpec, OnlyAssignedDevicesAreVisible) {
  OciContainer c = container();
  c.devices = {{"/dev/gpu0", "/dev/null", "rw"}};
  const Json spec = spec_of(c);
  const Json& node = find_array(spec, {"linux", "devices"}).at(0);
  EXPECT_EQ(find_string(node, {"path"}), "/dev/gpu0");
  EXPECT_EQ(find_int(node, {"major"}), 1);
  EXPECT_EQ(find_int(node, {"minor"}), 3);
  const Json& rule = find_array(spec, {"linux", "resources", "devices"}).at(1);
  EXPECT_TRUE(find_bool(rule, {"allow"}));
  EXPECT_EQ(find_string(rule, {"access"}), "rw");
  c.devices = {{"/dev/x", "/no/such/device", "rw"}};
  EXPECT_EQ(oci_spec(c).error().where, "/no/such/device");
  c.devices = {{"/dev/x", "/etc/passwd", "rw"}};
  EXPECT_EQ(oci_spec(c).error().code, ErrorCode::kInvalid);
}

TEST(OciSpec, HostNamespacesAreLeftOut) {
  OciContainer c = container();
  c.network = c.pid = c.ipc = c.uts = OciNamespace::host();
  c.hostname = "x";
  c.cgroup_namespace = true;
  const Json spec = spec_of(c);
  EXPECT_EQ(namespaces(spec), "mount cgroup ");
  EXPECT_EQ(find_string(spec, {"hostname"}), "");
  EXPECT_EQ(find_string(*mount_at(spec, "/sys"), {"type"}), "bind");
}

TEST(OciSpec, AVolumeAtDevShmReplacesTheDefault) {
  OciContainer c = container();
  OciMount m;
  m.source = "/v";
  m.target = "/dev/shm";
  c.mounts = {m};
  EXPECT_EQ(find_string(*mount_at(spec_of(c), "/dev/shm"), {"source"}), "/v");
}

TEST(OciSpec, PrivilegedOpensEverything) {
  OciContainer c = container();
  c.privileged = true;
  const Json spec = spec_of(c);
  EXPECT_EQ(find(spec, {"linux", "seccomp"}), nullptr);
  EXPECT_EQ(find(spec, {"linux", "maskedPaths"}), nullptr);
  EXPECT_TRUE(find_bool(find_array(spec, {"linux", "resources", "devices"}).at(0), {"allow"}));
}

TEST(DefaultSeccomp, DeniesWhatIsDangerousAndOpensWithCapabilities) {
  const auto allowed = [](const Json& profile, std::string_view call) {
    return has(find_array(find_array(profile, {"syscalls"}).at(0), {"names"}), call);
  };
  const Json plain = default_seccomp(default_capabilities());
  EXPECT_EQ(find_string(plain, {"defaultAction"}), "SCMP_ACT_ERRNO");
  for (const char* call : {"read", "execve", "futex", "openat2", "epoll_pwait2", "chroot"})
    EXPECT_TRUE(allowed(plain, call)) << call;
  for (const char* call :
       {"mount", "bpf", "keyctl", "add_key", "init_module", "kexec_load", "open_by_handle_at",
        "perf_event_open", "userfaultfd", "io_uring_setup", "unshare", "setns", "reboot", "swapon",
        "clock_settime", "clone", "clone3", "pivot_root", "ioperm"})
    EXPECT_FALSE(allowed(plain, call)) << call;
  EXPECT_TRUE(allowed(default_seccomp({"CAP_SYS_ADMIN"}), "mount"));
  EXPECT_FALSE(allowed(default_seccomp({}), "chroot"));
}

}  // namespace
}  // namespace berth::node
