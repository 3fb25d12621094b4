#pragma once

#include <string>

#include "base/error.h"
#include "node/network/pod_network.h"
#include "node/pod/container_setup.h"
#include "node/pod/pod_paths.h"
#include "node/pod/pod_spec.h"

namespace berth::node {

/// /etc/hosts (with the pod's own names and its hostAliases), /etc/resolv.conf, the pod's pinned
/// namespaces and its shared memory. Existing files stay: others keep them current.
Result<> ensure_pod_files(const PodSpec& pod, const PodPaths& paths, const PodAttachment& network);

/// What a run left as its termination message: its file, or else the end of its log when it failed
/// and the container asks for that.
std::string termination_message(const ContainerSpec& container, const PodPaths& paths,
                                const std::string& log_path, int attempt, int exit_code);

}  // namespace berth::node
