#pragma once

#include <vector>

#include "simulation/fleet/fleet.h"

namespace berth::simulation {

struct TunedPolicy {
  core::ScalingTuning tuning;
  int tried = 0;
  /// On the part that was searched, and on the part held out, which the search never saw.
  FleetOutcome before, after, before_held_out, after_held_out;

  /// It holds what it promises where it was not searched: the objective is kept (or missed by no
  /// more than before), for fewer device-hours or with more requests inside.
  bool proven(double attainment) const;
};

/// Searches the default policy's parameters on the first `share` of a workload: one after the
/// other, each over a few values, twice around (coordinate descent). Better is: the objective kept
/// with half of the misses it allows to spare, with the fewest device-hours; where nothing keeps
/// that, the highest attainment.
TunedPolicy tune_policy(const RequestLoad& workload, const core::ScaledService& service,
                        double share = 0.6);

}  // namespace berth::simulation
