#pragma once

#include <string>
#include <string_view>
#include <vector>

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
/// kubelet would say: `HTTP probe failed with statuscode: 503`. kDrain asks once, and fails while
/// there are requests; where nobody answers nothing is left.
Result<> run_handler(const ContainerRuntime& runtime, const Handler& handler,
                     const ProbeTarget& target, Duration timeout);

/// Is the sum of these metrics in a page for Prometheus above 0?
bool has_requests(const std::vector<std::string>& busy_metrics, std::string_view page);

}  // namespace berth::node
