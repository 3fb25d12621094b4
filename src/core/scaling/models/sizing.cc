#include "core/scaling/models/sizing.h"

#include <algorithm>
#include <cmath>

#include "core/scaling/models/ggc.h"
#include "core/scaling/models/wait.h"

namespace berth::core {
namespace {

bool meets(const QueueForecast& answer, const LatencyObjective& objective) {
  return answer.stable && answer.objective_s < objective.bound_s;
}

double bounded_time(const QueueLoad& load, const Wait& wait, const LatencyObjective& objective) {
  if (objective.of == LatencyObjective::Of::kWait)
    return objective.percentile ? wait.percentile(*objective.percentile) : wait.mean_s();
  return objective.percentile ? response_percentile(wait, load.service_mean_s, load.service_cv,
                                                    *objective.percentile)
                              : wait.mean_s() + load.service_mean_s;
}

}  // namespace

QueueForecast forecast(const QueueLoad& load, const LatencyObjective& objective) {
  QueueForecast answer{.servers = load.servers, .utilization = load.utilization()};
  answer.stable = load.stable();
  if (!answer.stable) return answer;
  const Wait wait = wait_ggc(load);
  answer.wait_mean_s = wait.mean_s();
  answer.wait_p95_s = wait.percentile(0.95);
  answer.response_mean_s = wait.mean_s() + load.service_mean_s;
  answer.response_p95_s = response_percentile(wait, load.service_mean_s, load.service_cv, 0.95);
  answer.objective_s = bounded_time(load, wait, objective);
  return answer;
}

std::optional<int> servers_for(QueueLoad load, const LatencyObjective& objective, int most) {
  const auto enough = [&](int servers) {
    load.servers = servers;
    return meets(forecast(load, objective), objective);
  };
  // Delay falls with every server: double until it is enough, then bisect.
  int low = static_cast<int>(std::min<double>(std::floor(load.offered()), most));
  int step = 1, high = low + 1;
  while (high <= most && !enough(high)) low = high, high += step, step *= 2;
  if (high > most) {
    if (low >= most || !enough(most)) return std::nullopt;
    high = most;
  }
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

double rate_for(QueueLoad load, const LatencyObjective& objective) {
  double low = 0, high = load.servers / load.service_mean_s;
  while (high - low > 1e-4 * high) {
    load.arrivals_per_s = (low + high) / 2;
    (meets(forecast(load, objective), objective) ? low : high) = load.arrivals_per_s;
    if (high < 1e-9 * load.servers / load.service_mean_s) return 0;
  }
  return low;
}

}  // namespace berth::core
