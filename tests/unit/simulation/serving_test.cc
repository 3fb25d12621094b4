#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "simulation/serving/fit.h"
#include "simulation/serving/replay.h"

namespace berth::simulation {
namespace {

core::ServingProfile profile_of(core::LinearCost cost) {
  core::ServingProfile profile;
  profile.cost = cost;
  return profile;
}

constexpr core::LinearCost kCost{.base_s = 0.012,
                                 .per_sequence_s = 5e-5,
                                 .per_token_s = 6e-5,
                                 .per_context_token_s = 2e-7,
                                 .per_prompt_pair_s = 4e-9};

std::vector<traces::ServedRequest> random_requests(size_t count, double gap_s) {
  Rng rng(5);
  std::vector<traces::ServedRequest> requests(count);
  double now = 0;
  for (traces::ServedRequest& request : requests) {
    request.arrival_s = now;
    request.prompt_tokens = 1 + static_cast<int>(rng.below(2000));
    request.output_tokens = 1 + static_cast<int>(rng.below(400));
    now += rng.exponential(gap_s);
  }
  return requests;
}

TEST(Replay, OneRequestAloneIsItsIterations) {
  traces::ServedRequest request;
  request.prompt_tokens = 100;
  request.output_tokens = 3;
  const ServingRun run = replay(profile_of({.base_s = 0.5}), {&request, 1});
  EXPECT_DOUBLE_EQ(run.requests[0].ttft_s, 0.5);
  EXPECT_DOUBLE_EQ(run.requests[0].tpot_s, 0.5);
  EXPECT_DOUBLE_EQ(run.requests[0].e2e_s, 1.5);
  EXPECT_EQ(run.iterations, 3);
}

TEST(Replay, EngineSleepsBetweenRequests) {
  std::vector<traces::ServedRequest> requests(2);
  for (auto& request : requests) request.prompt_tokens = request.output_tokens = 1;
  requests[1].arrival_s = 100;
  const ServingRun run = replay(profile_of({.base_s = 1}), requests);
  EXPECT_DOUBLE_EQ(run.requests[1].e2e_s, 1);
  EXPECT_DOUBLE_EQ(run.makespan_s, 101);
}

std::vector<traces::ServedRequest> measured_under(const core::LinearCost& cost) {
  auto requests = random_requests(150, 0.25);
  const ServingRun run = replay(profile_of(cost), requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].first_token_s = requests[i].arrival_s + run.requests[i].ttft_s;
    requests[i].last_token_s = requests[i].arrival_s + run.requests[i].e2e_s;
  }
  return requests;
}

TEST(Fit, FindsTheCostThatMadeTheLog) {
  const auto requests = measured_under(kCost);
  const auto fit = fit_linear_cost({}, requests, {0, 75});
  ASSERT_TRUE(fit) << fit.error().to_string();
  EXPECT_LT(fit->error, 0.05);
  // Judged on the rows that were not fitted.
  const ServingRun again = replay(profile_of(fit->cost), requests);
  for (size_t i = 75; i < requests.size(); ++i)
    EXPECT_NEAR((requests[i].arrival_s + again.requests[i].e2e_s) / *requests[i].last_token_s, 1,
                0.02)
        << i;
}

TEST(Fit, SaysHowSureItIs) {
  auto requests = measured_under(kCost);
  requests.resize(100);
  Rng rng(3);
  for (traces::ServedRequest& each : requests) {
    const double wrong = 1 + 0.1 * rng.normal();
    each.first_token_s = each.arrival_s + (*each.first_token_s - each.arrival_s) * wrong;
    each.last_token_s = each.arrival_s + (*each.last_token_s - each.arrival_s) * wrong;
  }
  const auto fit = fit_linear_cost({}, requests, {0, requests.size()});
  ASSERT_TRUE(fit) << fit.error().to_string();
  EXPECT_GT(fit->standard_error.base_s, 0.001);
  EXPECT_LT(fit->standard_error.base_s, 0.2);
  EXPECT_LT(std::abs(fit->cost.base_s / kCost.base_s - 1), 4 * fit->standard_error.base_s);
  EXPECT_LT(std::abs(fit->cost.per_token_s / kCost.per_token_s - 1),
            4 * fit->standard_error.per_token_s);
}

TEST(Fit, NeedsMeasurements) {
  const auto requests = random_requests(3, 1);
  const auto fit = fit_linear_cost({}, requests, {0, 3});
  ASSERT_FALSE(fit);
  EXPECT_EQ(fit.error().code, ErrorCode::kInvalid);
}

TEST(Summarize, InterpolatesBetweenRanks) {
  const Summary summary = summarize({4, 1, 2, 3});
  EXPECT_DOUBLE_EQ(summary.mean, 2.5);
  EXPECT_DOUBLE_EQ(summary.p50, 2.5);
  EXPECT_DOUBLE_EQ(summary.p90, 3.7);
  EXPECT_EQ(summarize({}).mean, 0);
}

}  // namespace
}  // namespace berth::simulation
