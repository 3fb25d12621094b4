#include "simulation/fleet/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace berth::simulation {

ScheduleOracle::ScheduleOracle(const FleetRun& run, int most) : run_(run) {
  run_.service.max_replicas = std::max(run_.service.max_replicas, most);
  for (int replicas = 1; replicas <= most; ++replicas) {
    run_.initial_replicas = replicas;
    fixed_.push_back(run_fleet(run_, [&](const core::ServiceView&) { return replicas; }));
    // More replicas cannot help once next to nothing is missed.
    if (fixed_.back().attainment() > 0.9999) break;
  }
}

/// The shortest path: cost of a minute with n replicas = n minutes + price * misses, and of each
/// replica more than in the minute before = its cold start.
std::vector<int> ScheduleOracle::schedule(double price_of_miss) const {
  const size_t minutes = fixed_[0].misses_by_minute.size();
  const size_t sizes = fixed_.size();
  const double start_cost = run_.service.cold_start_s / 60;
  std::vector<double> cost(sizes, 0);
  std::vector<std::vector<uint16_t>> from(minutes, std::vector<uint16_t>(sizes));
  for (size_t minute = 0; minute < minutes; ++minute) {
    std::vector<double> next(sizes, std::numeric_limits<double>::infinity());
    for (size_t now = 0; now < sizes; ++now) {
      for (size_t before = 0; before < sizes; ++before) {
        const double growth = now > before ? static_cast<double>(now - before) * start_cost : 0;
        const double total = cost[before] + (minute == 0 ? 0 : growth);
        if (total < next[now]) next[now] = total, from[minute][now] = static_cast<uint16_t>(before);
      }
      next[now] +=
          static_cast<double>(now + 1) + price_of_miss * fixed_[now].misses_by_minute[minute];
    }
    cost = next;
  }
  std::vector<int> schedule(minutes);
  auto at = static_cast<size_t>(std::min_element(cost.begin(), cost.end()) - cost.begin());
  for (size_t minute = minutes; minute-- > 0;) {
    schedule[minute] = static_cast<int>(at) + 1;
    at = from[minute][at];
  }
  return schedule;
}

FleetOutcome ScheduleOracle::play(const std::vector<int>& schedule) const {
  FleetRun run = run_;
  run.initial_replicas = schedule[0];
  run.service.tick_s = 1;
  const auto at = [&](double second) {
    const auto minute = static_cast<size_t>(std::max(0.0, second) / 60 + 1e-9);
    return schedule[std::min(minute, schedule.size() - 1)];
  };
  return run_fleet(run, [&](const core::ServiceView& view) {
    // What is needed when an order of now is ready; what is here stays while it is needed now.
    int needed = at(view.now_s);
    for (double ahead = 1; ahead <= run.service.cold_start_s; ++ahead)
      needed = std::max(needed, at(view.now_s + ahead));
    return needed;
  });
}

FleetOutcome ScheduleOracle::with_attainment(double attainment) const {
  double low = 1e-6, high = 1e3;
  FleetOutcome best = fixed_.back();
  for (int step = 0; step < 18; ++step) {
    const double price = std::sqrt(low * high);
    FleetOutcome outcome = play(schedule(price));
    if (outcome.attainment() >= attainment) {
      if (outcome.device_s < best.device_s || best.attainment() < attainment) best = outcome;
      high = price;
    } else {
      low = price;
    }
  }
  return best;
}

const FleetOutcome& ScheduleOracle::static_peak(double attainment) const {
  for (const FleetOutcome& each : fixed_)
    if (each.attainment() >= attainment) return each;
  return fixed_.back();
}

}  // namespace berth::simulation
