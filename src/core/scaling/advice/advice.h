#pragma once

#include <string>
#include <vector>

#include "base/money.h"
#include "core/scaling/serving/steady_state.h"

namespace berth::core {

/// One way to serve: a profile (model, accelerator, engine; quantisation is the model's) and what
/// its devices cost together an hour.
struct ServingOption {
  const ServingProfile* profile = nullptr;
  Money replica_per_hour;
};

struct Advice {
  size_t option = 0;      ///< which of those given
  bool possible = false;  ///< the rest is set only when true
  int replicas = 0;
  double capacity_per_s = 0;  ///< of one replica, within the objective, its share of bursts seen
  ServingForecast forecast;   ///< of one replica at its share of the load
  double inside = 0;          ///< share of requests within both bounds
  Money per_hour;
  /// Per million tokens, prompts and outputs together, at this load.
  Money per_million_tokens;
  std::string arithmetic;  ///< how it was worked out, or why it is not possible
};

/// What serves this load within the objective, cheapest first; what cannot comes last, with why.
/// Replicas share the load evenly, and bursts: of n replicas each sees gaps of
/// cv^2 = 1 + (cv^2 - 1) / n.
std::vector<Advice> advise(const std::vector<ServingOption>& options, const ServingLoad& load,
                           const ServingObjective& objective, int max_replicas = 10'000);

}  // namespace berth::core
