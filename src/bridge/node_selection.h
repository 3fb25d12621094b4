#pragma once

#include "core/model/shape.h"
#include "objects/json.h"

namespace berth::bridge {

/// Reads which nodes a pod may go to: `nodeSelector`, node and pod affinity, tolerations,
/// `topologySpreadConstraints` and host ports.
void read_node_filter(const Json& pod, core::BasicNodeFilter<std::string>& filter);

}  // namespace berth::bridge
