#pragma once

#include <optional>
#include <set>
#include <string>

#include "core/model/event.h"
#include "core/model/plan.h"
#include "objects/json.h"

namespace berth::bridge {

/// A Node, with its devices `named` where its annotation `berth.dev/devices` lists them, else
/// `counted` from its allocatable resources.
core::NodeUpsert read_node(const Json& node);
/// The resources whose devices the node names.
std::set<std::string> named_resources(const Json& node);

/// What counts for a queue that does not say it itself.
struct QueueDefaults {
  core::QueueTimes times{};
  core::Reclaim reclaim = core::Reclaim::kFairShare;
};
core::QueueUpsert read_queue(const Json& queue, const QueueDefaults& defaults);

/// A PodGroup. Its queue and priority are its own labels', else those of its pods.
core::GangUpsert read_pod_group(const Json& group, std::string_view queue_of_pods,
                                int32_t priority_of_pods);

/// A PodDisruptionBudget, as its controller judged it last; nothing where it selects no pods.
std::optional<core::DisruptionBudgetUpsert> read_disruption_budget(const Json& budget);

/// What an object remembers for Berth (`berth.dev/intent`, `berth.dev/claim`), as the action that
/// makes control remember it again; nothing where it has none or it cannot be read.
std::vector<core::Action> read_memory(const Json& object, const std::string& gang);
std::string write_intent(const core::PersistIntent& intent);
std::string write_claim(const core::Claim& claim);

}  // namespace berth::bridge
