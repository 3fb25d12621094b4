#include "simulation/queueing/fcfs_queue.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <vector>

#include "base/rng.h"

namespace berth::simulation {
namespace {

double draw(Rng& rng, double mean, double cv) {
  if (cv <= 0) return mean;
  const double shape = 1 / (cv * cv);
  return rng.gamma(shape, mean / shape);
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Reorders `values`.
double percentile_of(std::vector<double>& values, double p) {
  const auto rank = static_cast<size_t>(p * static_cast<double>(values.size()));
  const auto at = values.begin() + static_cast<ptrdiff_t>(std::min(rank, values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

QueueSample simulate_queue(const core::QueueLoad& load, size_t customers, uint64_t seed) {
  Rng rng(seed);
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (int server = 0; server < load.servers; ++server) free_at.push(0);

  const size_t warm_up = customers / 20;
  std::vector<double> waits, responses;
  waits.reserve(customers);
  responses.reserve(customers);
  double now = 0;
  size_t waited = 0;
  for (size_t i = 0; i < warm_up + customers; ++i) {
    now += draw(rng, 1 / load.arrivals_per_s, load.arrival_cv);
    const double start = std::max(now, free_at.top());
    const double service = draw(rng, load.service_mean_s, load.service_cv);
    free_at.pop();
    free_at.push(start + service);
    if (i < warm_up) continue;
    waits.push_back(start - now);
    responses.push_back(start - now + service);
    if (start > now) ++waited;
  }
  QueueSample sample{.customers = customers};
  if (customers == 0) return sample;
  sample.wait_probability = static_cast<double>(waited) / static_cast<double>(customers);
  sample.wait_mean_s = mean_of(waits);
  sample.response_mean_s = mean_of(responses);
  sample.wait_p95_s = percentile_of(waits, 0.95);
  sample.response_p95_s = percentile_of(responses, 0.95);
  return sample;
}

}  // namespace berth::simulation
