#include "core/scaling/serving/steady_state.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "simulation/serving/replay.h"

namespace berth::simulation {
namespace {

/// Llama 3.1 8B on one RTX PRO 6000, as fitted to a real vLLM run.
const core::ServingProfile& profile() {
  static const core::ServingProfile profile = [] {
    core::ServingProfile fitted;
    fitted.cost = core::LinearCost{.base_s = 0.01329,
                                   .per_sequence_s = 4.213e-5,
                                   .per_token_s = 3.093e-5,
                                   .per_context_token_s = 4.701e-8,
                                   .per_prompt_pair_s = 8.05e-9};
    fitted.limits = {.max_sequences = 128, .max_batched_tokens = 2048};
    return fitted;
  }();
  return profile;
}

int gamma_tokens(Rng& rng, double mean, double cv) {
  const double shape = 1 / (cv * cv);
  return std::max(1, static_cast<int>(rng.gamma(shape, mean / shape)));
}

core::ServingLoad load_of(double prompt, double output, double gap_cv) {
  core::ServingLoad load{.rate_per_s = 0, .gap_cv = gap_cv, .shapes = {}};
  Rng rng(3);
  for (int i = 0; i < 64; ++i)
    load.shapes.push_back({gamma_tokens(rng, prompt, 1), gamma_tokens(rng, output, 0.8)});
  return load;
}

struct Measured {
  double ttft_mean, ttft_p95, tpot_mean, tpot_p95, e2e_mean, inside;
};

double p95(std::vector<double> values) {
  const auto at = values.begin() + static_cast<long>(values.size() * 95 / 100);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

Measured measure(const core::ServingLoad& load, const core::ServingObjective& objective) {
  Rng rng(11);
  const double gap_shape = 1 / (load.gap_cv * load.gap_cv);
  std::vector<traces::ServedRequest> requests(6'000);
  double now_s = 0;
  for (traces::ServedRequest& request : requests) {
    const auto& shape = load.shapes[rng.below(load.shapes.size())];
    request.arrival_s = now_s;
    request.prompt_tokens = shape.prompt_tokens;
    request.output_tokens = shape.output_tokens;
    now_s += rng.gamma(gap_shape, 1 / (gap_shape * load.rate_per_s));
  }
  const ServingRun run = replay(profile(), requests);
  std::vector<double> ttft, tpot, e2e;
  double inside = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const ServedTimes& times = run.requests[i];
    ttft.push_back(times.ttft_s);
    e2e.push_back(times.e2e_s);
    if (requests[i].output_tokens > 1) tpot.push_back(times.tpot_s);
    inside += times.ttft_s <= objective.ttft_s && times.tpot_s <= objective.tpot_s;
  }
  return {summarize(ttft).mean, p95(ttft),
          summarize(tpot).mean, p95(tpot),
          summarize(e2e).mean,  inside / static_cast<double>(requests.size())};
}

/// The analytical model against the engine, request by request, up to what a replica takes within
/// its objective. Prints every point; the bounds are what docs/accuracy.md states.
TEST(SteadyState, AgreesWithTheEngine) {
  const core::ServingObjective objective{.ttft_s = 2, .tpot_s = 0.06, .attainment = 0.95};
  std::printf("prompt/output cv  share  |   TTFT mean p95   TPOT mean p95   e2e mean  inside\n");
  double worst_tpot = 0, worst_e2e = 0, worst_inside = 0;
  for (const auto& [prompt, output] : {std::pair{2048, 28}, {1155, 211}, {300, 300}}) {
    for (const double cv : {1.0, 2.0}) {
      core::ServingLoad load = load_of(prompt, output, cv);
      const double capacity = core::replica_capacity(profile(), load, objective);
      for (const double share : {0.25, 0.5, 0.75, 1.0}) {
        load.rate_per_s = capacity * share;
        const core::SteadyState model(profile(), load);
        const core::ServingForecast answer = model.forecast();
        ASSERT_TRUE(answer.stable);
        const double inside = model.inside(objective.ttft_s, objective.tpot_s);
        const Measured seen = measure(load, objective);
        const auto off = [](double a, double b) { return 100 * (a / b - 1); };
        std::printf(
            "%4d/%-4d %.0f %5.2f/s %3.0f%% | %+6.1f%% %+6.1f%%  %+6.1f%% %+6.1f%%  %+6.1f%%  "
            "%.3f (%.3f)\n",
            prompt, output, cv, load.rate_per_s, 100 * share,
            off(answer.ttft_s.mean, seen.ttft_mean), off(answer.ttft_s.p95, seen.ttft_p95),
            off(answer.tpot_s.mean, seen.tpot_mean), off(answer.tpot_s.p95, seen.tpot_p95),
            off(answer.e2e_s.mean, seen.e2e_mean), inside, seen.inside);
        worst_tpot = std::max(worst_tpot, std::abs(off(answer.tpot_s.mean, seen.tpot_mean)));
        worst_e2e = std::max(worst_e2e, std::abs(off(answer.e2e_s.mean, seen.e2e_mean)));
        worst_inside = std::max(worst_inside, std::abs(inside - seen.inside));
      }
    }
  }
  std::printf("worst: TPOT mean %.1f%%, e2e mean %.1f%%, inside %.3f\n", worst_tpot, worst_e2e,
              worst_inside);
  EXPECT_LT(worst_tpot, 20);
  EXPECT_LT(worst_e2e, 20);
  EXPECT_LT(worst_inside, 0.06);
}

}  // namespace
}  // namespace berth::simulation
