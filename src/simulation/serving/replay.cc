#include "simulation/serving/replay.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/scaling/serving/continuous_batching.h"

namespace berth::simulation {

ServingRun replay(const core::ServingProfile& profile,
                  std::span<const traces::ServedRequest> requests) {
  ServingRun run;
  run.requests.resize(requests.size());
  std::vector<double> first_token(requests.size());
  core::ContinuousBatching engine(profile);
  double now = 0;
  size_t next = 0;
  while (next < requests.size() || !engine.idle()) {
    if (engine.idle()) now = std::max(now, requests[next].arrival_s);
    for (; next < requests.size() && requests[next].arrival_s <= now; ++next)
      engine.submit(static_cast<uint32_t>(next), requests[next].prompt_tokens,
                    requests[next].output_tokens);
    const auto& iteration = engine.step();
    now += iteration.seconds;
    ++run.iterations;
    for (uint32_t i : iteration.first_token) {
      first_token[i] = now;
      run.requests[i].ttft_s = now - requests[i].arrival_s;
    }
    for (uint32_t i : iteration.finished) {
      ServedTimes& times = run.requests[i];
      times.e2e_s = now - requests[i].arrival_s;
      const int gaps = requests[i].output_tokens - 1;
      times.tpot_s = gaps > 0 ? (now - first_token[i]) / gaps : 0;
    }
    for (uint32_t i : iteration.refused) run.requests[i].refused = true;
  }
  run.preemptions = engine.preemptions();
  run.makespan_s = now;
  return run;
}

Summary summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double p) {
    const double rank = p * static_cast<double>(values.size() - 1);
    const auto low = static_cast<size_t>(rank);
    const size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (rank - std::floor(rank)) * (values[high] - values[low]);
  };
  return {std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()),
          at(0.5), at(0.9), at(0.99)};
}

}  // namespace berth::simulation
