#pragma once

#include <string>
#include <string_view>

#include "core/model/shape.h"
#include "objects/json.h"

namespace berth::bridge {

/// Reads which nodes a pod may go to: `nodeSelector`, node and pod affinity, tolerations,
/// `topologySpreadConstraints` and host ports.
void read_node_filter(const Json& pod, core::BasicNodeFilter<std::string>& filter);

/// A `LabelSelector` in the field `key` of `holder`.
core::BasicTerm<std::string> read_label_selector(const Json& holder, std::string_view key);

}  // namespace berth::bridge
