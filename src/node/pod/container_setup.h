#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "node/cgroup/cgroup_tree.h"
#include "node/devices/device_source.h"
#include "node/images/image_store.h"
#include "node/network/pod_network.h"
#include "node/pod/env.h"
#include "node/pod/pod_inputs.h"
#include "node/pod/pod_paths.h"
#include "node/pod/pod_spec.h"
#include "node/pod/volumes.h"
#include "node/runtime/container_runtime.h"
#include "node/runtime/oci_spec.h"

namespace berth::node {

/// What this machine lets containers have; found once at start.
struct HostAbilities {
  bool cgroup_namespace = false;  ///< v2
  bool limit_swap = false;
  bool weigh_io = false;
  bool kill_together = false;        ///< v2: out of memory, all processes of a container go
  int lowest_oom_score_adj = -1000;  ///< without CAP_SYS_RESOURCE not below Berth's own
  uint64_t most_files = 1'048'576;   ///< RLIMIT_NOFILE that can be given
  int64_t memory_bytes = 0;
  std::string seccomp_profiles;  ///< folder of Localhost profiles
};

/// Everything that one start of a container is made from.
struct ContainerSetup {
  const PodSpec& pod;
  const ContainerSpec& container;
  int attempt = 0;
  const ImageHandle& image;
  const PodInputs& inputs;
  const PodSurroundings& around;
  const VolumePaths& volumes;
  const PodAttachment& network;
  const ContainerEdits& devices;
  const PodPaths& paths;
  const HostAbilities& host;
  std::string cgroup_path;    ///< of the pod
  std::string log_folder;     ///< of the pod
  std::string pid_namespace;  ///< a path to join, for shareProcessNamespace; may be empty
};

/// Makes the root, the termination message file and the mounts of a container, and says how conmon
/// is to start it. Blocks; may be repeated. `kInvalid` and `kNotFound` are the pod's fault
/// (CreateContainerConfigError), everything else is the node's (CreateContainerError).
Result<ContainerRuntime::Launch> prepare_container(const ContainerSetup& setup);

/// Undoes `prepare_container` for one attempt: mounts and files.
Result<> discard_container(const PodPaths& paths, const std::string& container, int attempt);

}  // namespace berth::node
