#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controllers/scaling/growth_values.h"
#include "objects/json.h"

namespace berth::controllers {

/// How many replicas a service is to have, and why.
struct ScalingVerdict {
  int replicas = 0;
  std::string reason;
  /// Where the policy chooses among variants: of each, in the order of the spec, and why so.
  std::vector<int> of_variants = {};
  std::vector<std::string> variant_reasons = {};
  /// What replicas beyond the minimum are worth; none: nothing is known of late. Without values the
  /// policy knows no such thing.
  std::optional<GrowthValues> growth;
  /// What was measured: for the object's status, where the next start finds it.
  JsonObject measured;
};
using VerdictPtr = std::shared_ptr<const ScalingVerdict>;

}  // namespace berth::controllers
