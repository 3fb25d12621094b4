#pragma once

#include <vector>

#include "simulation/fleet/fleet.h"

namespace berth::simulation {

/// What the future known could save. A schedule of whole replicas a minute, each ordered a cold
/// start ahead of the minute it is for; of the schedules with at least a given attainment, one with
/// the fewest device-hours.
///
/// Static fleets of every size tell what each minute misses with how many replicas; minutes are
/// taken as independent (admission keeps backlogs below the TTFT bound), which makes the best
/// schedule for a price of a miss a shortest path over (minute, replicas), where a replica more
/// costs its cold start. The price is then bisected until the schedule, simulated, attains what is
/// asked; a schedule that misses more in truth than its minutes foretold is paid for by the price.
class ScheduleOracle {
 public:
  /// Simulates the static fleets of 0 (where allowed), 1, ... `most` replicas.
  ScheduleOracle(const FleetRun& run, int most);

  /// The cheapest schedule found with this attainment, simulated. Where even the largest fleet does
  /// not attain it, that fleet.
  FleetOutcome with_attainment(double attainment) const;

  /// The smallest static fleet with this attainment (the largest tried where none has it).
  const FleetOutcome& static_peak(double attainment) const;

 private:
  std::vector<int> schedule(double price_of_miss) const;
  FleetOutcome play(const std::vector<int>& schedule) const;

  FleetRun run_;
  std::vector<FleetOutcome> fixed_;  ///< by replicas, from 1
};

}  // namespace berth::simulation
