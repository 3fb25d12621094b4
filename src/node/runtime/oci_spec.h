#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/cgroup/limits.h"
#include "node/devices/device_source.h"
#include "objects/json.h"

namespace berth::node {

/// A mount in the container. A `source` of the machine is a bind mount; else a file system of
/// `type`.
struct OciMount {
  std::string target;
  std::string source;
  std::string type = "bind";
  std::vector<std::string> options;
  bool read_only = false;
};

/// A namespace of the container: its own, an existing one (a path), or the machine's.
struct OciNamespace {
  enum class Kind { kPrivate, kPath, kHost } kind = Kind::kPrivate;
  std::string path;

  static OciNamespace own() { return {}; }
  static OciNamespace host() { return {Kind::kHost, {}}; }
  static OciNamespace join(std::string path) { return {Kind::kPath, std::move(path)}; }
};

struct OciRlimit {
  std::string type;  ///< RLIMIT_NOFILE
  uint64_t soft = 0;
  uint64_t hard = 0;
};

/// Everything about a container that the kernel has to know, with no Kubernetes left in it.
struct OciContainer {
  std::string rootfs;
  bool read_only_root = true;
  std::vector<std::string> args;
  std::vector<std::string> env;  ///< NAME=VALUE
  std::string working_dir = "/";
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> additional_gids;
  std::vector<std::string> capabilities;  ///< CAP_...; none for a user other than root
  bool no_new_privileges = true;
  bool privileged = false;  ///< every device, writable /sys, no masked paths
  bool terminal = false;
  std::optional<int> oom_score_adj;
  std::vector<OciRlimit> rlimits;
  std::string hostname;  ///< only with an own UTS namespace
  std::vector<OciMount> mounts;
  std::vector<DeviceNode> devices;
  std::vector<DeviceHook> hooks;
  OciNamespace pid, network, ipc, uts;
  bool cgroup_namespace = false;
  std::string cgroup_path;  ///< from the root of each hierarchy: /berth/burstable/podX/NAME
  CgroupLimits limits;
  bool limit_swap = false;  ///< the memory limit also holds for memory and swap together
  /// Out of memory, all processes go and not only the largest, as Kubernetes has it where the
  /// kernel can (cgroup v2): half a container is no use.
  bool oom_kills_all = false;
  enum class Seccomp { kDefault, kUnconfined, kProfile } seccomp = Seccomp::kDefault;
  Json seccomp_profile;        ///< for kProfile, in the OCI form
  bool unmasked_proc = false;  ///< procMount: Unmasked
  std::vector<std::pair<std::string, std::string>> annotations;
};

/// The file config.json of the OCI runtime specification 1.0. Fails when a device node cannot be
/// read.
Result<Json> oci_spec(const OciContainer& container);

/// What a container may do unless it says else: the set that container engines commonly keep.
const std::vector<std::string>& default_capabilities();
/// Every capability that this kernel has.
std::vector<std::string> all_capabilities();

}  // namespace berth::node
