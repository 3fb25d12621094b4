#pragma once

#include <string>

#include "base/error.h"
#include "base/time.h"
#include "node/pod/pod_spec.h"
#include "node/runtime/container_runtime.h"

namespace berth::node {

/// What a probe or hook is aimed at.
struct ProbeTarget {
  std::string container_id;
  std::string address;  ///< of the pod
};

/// Carries out a probe or a hook and blocks for at most `timeout`. The error's `what` is what the
/// kubelet would say: `HTTP probe failed with statuscode: 503`.
Result<> run_handler(const ContainerRuntime& runtime, const Handler& handler,
                     const ProbeTarget& target, Duration timeout);

}  // namespace berth::node
