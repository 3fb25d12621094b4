#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/images/image_store.h"
#include "node/network/pod_network.h"
#include "node/pod/env.h"
#include "node/pod/host/node_context.h"
#include "node/pod/machine/pod_machine.h"
#include "node/pod/pod_inputs.h"
#include "node/pod/pod_paths.h"
#include "node/pod/pod_spec.h"
#include "node/pod/volumes.h"

namespace berth::node {

/// What is done for a pod on the pools' threads. Each blocks, and may be repeated after a crash at
/// any point of it.

/// What every container of the pod needs, once it is there.
struct PreparedPod {
  PodAttachment network;
  PodInputs inputs;
  VolumePaths volumes;
  PodSurroundings around;
};

/// The cgroup of a pod, by its class: ROOT/podUID, ROOT/burstable/podUID, ROOT/besteffort/podUID.
std::string pod_cgroup(const std::string& root, const PodSpec& pod);

struct PrepareOutcome {
  std::string event;  ///< what to call it where it failed: FailedMount, ...
  Result<std::shared_ptr<const PreparedPod>> prepared;
};
/// Network, cgroup, files and volumes.
PrepareOutcome prepare_pod(NodeContext& context, const PodSpec& pod, const PodPaths& paths,
                           PodInputs inputs);

/// Which run of which container.
struct RunOfContainer {
  std::string container;
  int attempt = 0;
};

struct StartedContainer {
  StartOutcome outcome;
  int pid = 0;  ///< of its first process; 0 where it did not start
};
/// `pid_namespace` is a path to join, or empty.
StartedContainer start_container(NodeContext& context, const PodSpec& pod, const PodPaths& paths,
                                 const PreparedPod& prepared, const ImageHandle& image,
                                 const RunOfContainer& run, const std::string& pid_namespace);

/// The CPU weights of a container that runs and of its pod. Not at its creation: runc's own first
/// process is already in the cgroup, and with a small weight it would wait long on a busy machine.
Result<> set_cpu_weights(NodeContext& context, const PodSpec& pod, const RunOfContainer& run);

/// The exit code in its file. Nothing where there is none and its monitor may yet write one; with
/// the monitor gone, the code is lost.
std::optional<ExitOutcome> read_exit(NodeContext& context, const PodSpec& pod,
                                     const PodPaths& paths, const RunOfContainer& run,
                                     bool monitor_gone);

/// Limits of one container, and of the pod that they are part of.
Result<> resize_container(NodeContext& context, const PodSpec& pod, const RunOfContainer& run,
                          const CgroupLimits& limits);

/// Containers, network, mounts, cgroup and files; not the record and the logs.
Result<> tear_down_pod(NodeContext& context, const PodSpec& pod, const PodPaths& paths);

}  // namespace berth::node
