#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/placement/scorers/scorer.h"
#include "core/placement/typical_mix.h"

namespace berth::core {

/// What a scorer may know besides the node and the request.
struct ScorerContext {
  /// What is expected to arrive: the most frequent 95%, as the published policies define it.
  const TypicalMix& typical;
  /// The same up to 98%: rare requests for many devices are part of it.
  const TypicalMix& broad;
  /// Devices in the cluster, by model.
  std::span<const int64_t> supply;
};

/// A named way to choose nodes.
struct PlacementPolicy {
  std::string_view name;
  std::string_view idea;
  /// Null for `random`, which draws among the nodes that fit and needs no order.
  std::unique_ptr<Scorer> (*make_scorer)(const ScorerContext&);
};

/// All of them, in the order in which documentation shows them. A new one is a scorer in its own
/// file and one row here.
std::span<const PlacementPolicy> placement_policies();
/// Null where none has this name.
const PlacementPolicy* find_placement_policy(std::string_view name);
/// `fgd, best-fit, ...`, for error messages.
std::string placement_policy_names();

}  // namespace berth::core
