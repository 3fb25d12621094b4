#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "node/device_ledger.h"
#include "node/pod/host/pod_host.h"

namespace berth::node {

/// What a recovery fills. References outlive the agent's loop.
struct Recovery {
  NodeContext& context;
  PodHosts& pods;
  DeviceLedger& devices;
  std::function<void(const std::string& uid)> on_finished;  ///< of every pod found
};

/// Finds what an earlier agent left: pods by their folders, containers by their ids. What belongs
/// to no pod goes. Before the loop runs; the pods are admitted afterwards.
Result<> recover_pods(const Recovery& recovery);

}  // namespace berth::node
