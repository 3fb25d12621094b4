#pragma once

#include <optional>

#include "core/scaling/models/load.h"

namespace berth::core {

/// What a queue of one size gives.
struct QueueForecast {
  int servers = 0;
  double utilization = 0;  ///< of each server; 1 or more: the queue grows without end
  bool stable = false;     ///< the times below are set only when true
  double wait_mean_s = 0;
  double wait_p95_s = 0;
  double response_mean_s = 0;
  double response_p95_s = 0;
  double objective_s = 0;  ///< the time that the objective bounds
};

/// "p95<2s": a bound on a percentile, or on the mean, of the response or of the wait.
struct LatencyObjective {
  enum class Of { kResponse, kWait };
  Of of = Of::kResponse;
  std::optional<double> percentile = 0.95;  ///< unset: the mean
  double bound_s = 0;
};

QueueForecast forecast(const QueueLoad& load, const LatencyObjective& objective);

/// The fewest servers that meet the objective, at most `most`; nothing when even those do not.
/// `load.servers` is ignored.
std::optional<int> servers_for(QueueLoad load, const LatencyObjective& objective,
                               int most = 100'000);

/// The highest arrival rate at which `load.servers` meet the objective, within 0.01%; 0 when one
/// lone customer already misses it. `load.arrivals_per_s` is ignored.
double rate_for(QueueLoad load, const LatencyObjective& objective);

}  // namespace berth::core
