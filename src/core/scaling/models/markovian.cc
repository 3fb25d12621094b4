#include "core/scaling/models/markovian.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace berth::core {

double erlang_b(int servers, double offered) {
  double inverse = 1;
  for (int n = 1; n <= servers; ++n) inverse = 1 + inverse * n / offered;
  return 1 / inverse;
}

double erlang_c(int servers, double offered) {
  if (offered <= 0) return 0;
  const double blocked = erlang_b(servers, offered);
  return servers * blocked / (servers - offered * (1 - blocked));
}

Wait wait_mmc(const QueueLoad& load) {
  const double offered = load.offered();
  return {erlang_c(load.servers, offered), load.service_mean_s / (load.servers - offered), 1};
}

double response_tail_mmc(const QueueLoad& load, double t_s) {
  const double mu = 1 / load.service_mean_s;
  const double drain = load.servers * mu - load.arrivals_per_s;
  const double waits = erlang_c(load.servers, load.offered());
  const double served = std::exp(-mu * t_s);
  // The two rates meet when c - offered = 1; the limit there is a gamma of shape 2.
  if (std::abs(drain - mu) < 1e-9 * mu) return served * (1 + waits * mu * t_s);
  return served + waits * mu / (drain - mu) * (served - std::exp(-drain * t_s));
}

LossyQueue solve_mmck(const QueueLoad& load, int capacity) {
  const double offered = load.offered();
  // Unnormalised probabilities, kept near 1 by dividing when they grow.
  std::vector<double> p(static_cast<size_t>(capacity) + 1);
  p[0] = 1;
  double total = 1;
  for (int n = 1; n <= capacity; ++n) {
    const auto i = static_cast<size_t>(n);
    p[i] = p[i - 1] * offered / std::min(n, load.servers);
    total += p[i];
    if (total > 1e200) {
      for (size_t j = 0; j <= i; ++j) p[j] /= total;
      total = 1;
    }
  }
  LossyQueue queue;
  double waiting = 0, busy = 0;
  for (int n = 0; n <= capacity; ++n) {
    const double share = p[static_cast<size_t>(n)] / total;
    queue.in_system_mean += share * n;
    waiting += share * std::max(0, n - load.servers);
    busy += share * std::min(n, load.servers);
    if (n == capacity) queue.rejected = share;
  }
  const double entering = load.arrivals_per_s * (1 - queue.rejected);
  queue.wait_mean_s = entering > 0 ? waiting / entering : 0;
  queue.response_mean_s = queue.wait_mean_s + load.service_mean_s;
  queue.utilization = busy / load.servers;
  return queue;
}

}  // namespace berth::core
