#pragma once

#include <optional>
#include <string>

#include "node/agent/agent.h"
#include "node/device_ledger.h"
#include "node/pod/host/pod_host.h"

namespace berth::node {

struct Refusal {
  std::string reason;  ///< of the pod's status: OutOfpods, UnexpectedAdmissionError, ...
  std::string message;
};

/// Why the node will not run a pod that was bound to it (and is among `pods`); nothing when it
/// will, and then the pod holds its devices.
std::optional<Refusal> refuses(const AgentOptions& options, const PodHosts& pods,
                               DeviceLedger& devices, const PodSpec& pod);

}  // namespace berth::node
