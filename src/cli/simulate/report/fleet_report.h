#pragma once

#include <string>

#include "simulation/fleet/comparison.h"

namespace berth::cli {

/// Mean over the seeds of a figure, and half its 95% interval.
struct MeanOverSeeds {
  double mean = 0;
  double half_width = 0;
};
MeanOverSeeds over_seeds(const std::vector<simulation::FleetOutcome>& outcomes,
                         double (*figure)(const simulation::FleetOutcome&));
/// Device-hours over the oracle's with the same attainment.
MeanOverSeeds over_oracle(const simulation::ContenderResult& contender);

/// `price_per_hour`: of a device; 0 where it was not said.
std::string fleet_report(const std::string& title, const core::ServingObjective& objective,
                         double price_per_hour, const simulation::Comparison& comparison);

}  // namespace berth::cli
