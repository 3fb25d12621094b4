#include "core/scaling/serving/online_fit.h"

#include <gtest/gtest.h>

namespace berth::core {
namespace {

/// What a server that takes `base + n * sequence + tokens * prompt` an iteration shows of a
/// request.
ServedRequest served(double base_s, double sequence_s, double prompt_s, int prompt, int output,
                     int in_flight, bool streamed) {
  ServedRequest request{.prompt_tokens = prompt,
                        .output_tokens = output,
                        .in_flight = static_cast<double>(in_flight)};
  const double iterations = in_flight > 1 ? 1.5 : 1;
  const double iteration_s = base_s + in_flight * sequence_s;
  const double first_s = iterations * iteration_s + prompt * prompt_s;
  request.total_s = first_s + (output - 1) * iteration_s;
  if (streamed) request.first_token_s = first_s;
  return request;
}

ServingProfile guess() {
  ServingProfile profile;
  profile.cost = LinearCost{.base_s = 0.03, .per_sequence_s = 0.004, .per_token_s = 0.001};
  profile.limits.max_sequences = 8;
  return profile;
}

class FindsTheCost : public testing::TestWithParam<bool> {};

TEST_P(FindsTheCost, FromAWrongGuess) {
  OnlineFit fit(guess(), 1.0);
  const double before = fit.uncertainty();
  for (int i = 0; i < 200; ++i)
    fit.observe(served(0.005, 0.002, 0.0004, 20 + 40 * (i % 5), 10 + i % 30, 1 + i % 6, GetParam()),
                0);
  const auto& cost = std::get<LinearCost>(fit.profile().cost);
  EXPECT_NEAR(cost.base_s, 0.005, 0.0008);
  EXPECT_NEAR(cost.per_sequence_s + cost.per_token_s, 0.002, 0.0003);
  EXPECT_NEAR(cost.per_token_s, 0.0004, 0.0001);
  EXPECT_LT(fit.uncertainty(), before / 4);
  EXPECT_EQ(fit.observed(), 200);
}

INSTANTIATE_TEST_SUITE_P(StreamedAndWhole, FindsTheCost, testing::Bool());

TEST(OnlineFit, TrustsAProfileThatWasFitted) {
  const ServedRequest odd = served(0.3, 0.04, 0.01, 100, 20, 2, true);
  OnlineFit guessed(guess(), 1.0), fitted(guess(), 0.05);
  guessed.observe(odd, 0);
  fitted.observe(odd, 0);
  const auto moved = [](const OnlineFit& fit) {
    return std::get<LinearCost>(fit.profile().cost).base_s - 0.03;
  };
  EXPECT_GT(moved(guessed), 5 * moved(fitted));
}

TEST(OnlineFit, NeverBelievesInNoTimeAtAll) {
  OnlineFit fit(guess(), 1.0);
  for (int i = 0; i < 100; ++i) fit.observe(served(1e-7, 0, 0, 1, 50, 1, true), 0);
  Batch one;
  one.decodes = 1;
  EXPECT_GT(fit.profile().iteration_s(one), 0);
}

}  // namespace
}  // namespace berth::core
