#pragma once

#include <vector>

#include "core/cost/ledger.h"
#include "objects/json.h"

namespace berth::cli {

/// The ledger that Nodes and Pods tell. A pod holds what it requests from when it is bound until
/// its last container ended. What is priced of a node's devices is their model where it has a
/// price, else the resource; memory counts in GiB; of the price of a `node` a pod bears its share
/// of the CPU. Pods of `kube-system` are overhead. What is no longer there is not known.
core::CostLedger ledger_of(const std::vector<Json>& nodes, const std::vector<Json>& pods,
                           const core::PriceList& prices);

}  // namespace berth::cli
