#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "core/cost/ledger.h"
#include "objects/json.h"

namespace berth::bridge {

// What Nodes and Pods hold, before it is priced: thousandths of each resource (of memory: of GiB),
// and of the whole node (`node`). A device is `resource@model`, because its model may have a price
// of its own. Kept unpriced, so that prices may change.

/// All of a node, and what the system keeps of it for itself (capacity less allocatable).
core::PricedAmounts node_capacity(const Json& node);
core::PricedAmounts node_reserve(const Json& node);

/// What a pod requests of its node, and the devices that it was given; of the node itself its share
/// of the CPU.
core::PricedAmounts pod_holding(const Json& pod, const Json& node);

/// Since when it holds that: its binding. Nothing where it is not bound.
std::optional<Time> bound_at(const Json& pod);
/// When its last container ended. Nothing while it goes on; `now` where it ended and nobody says
/// when.
std::optional<Time> ended_at(const Json& pod, Time now);

/// The same by what a price list calls it: a device by its model where that has a price, else by
/// its resource.
core::PricedAmounts priced(const core::PricedAmounts& amounts, const core::PriceList& prices);

}  // namespace berth::bridge
