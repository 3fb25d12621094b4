#include "core/scaling/advice/advice.h"

#include <gtest/gtest.h>

namespace berth::core {
namespace {

ServingProfile accelerator(double slower) {
  ServingProfile profile;
  profile.cost = LinearCost{.base_s = 0.0133 * slower,
                            .per_sequence_s = 4.2e-5 * slower,
                            .per_token_s = 3.1e-5 * slower,
                            .per_context_token_s = 4.7e-8 * slower,
                            .per_prompt_pair_s = 8e-9 * slower};
  profile.limits.max_sequences = 128;
  return profile;
}

const ServingLoad kLoad{.rate_per_s = 40, .gap_cv = 1, .shapes = {{512, 128}, {1500, 200}}};
const ServingObjective kObjective{.ttft_s = 2, .tpot_s = 0.06, .attainment = 0.95};

TEST(Advise, CheapestFirstAndTheImpossibleLastWithWhy) {
  const ServingProfile fast = accelerator(1), slow = accelerator(2), hopeless = accelerator(8);
  const auto advice =
      advise({{&hopeless, {100'000}}, {&fast, {4'000'000}}, {&slow, {500'000}}}, kLoad, kObjective);
  ASSERT_EQ(advice.size(), 3u);
  EXPECT_EQ(advice[0].option, 2u);
  EXPECT_EQ(advice[1].option, 1u);
  EXPECT_EQ(advice[2].option, 0u);
  EXPECT_TRUE(advice[1].possible);
  EXPECT_FALSE(advice[2].possible);
  EXPECT_NE(advice[2].arithmetic.find("even alone"), std::string::npos);
  EXPECT_GT(advice[0].replicas, advice[1].replicas);
  EXPECT_LE(advice[0].per_hour, advice[1].per_hour);
}

TEST(Advise, WhatIsAdvisedKeepsTheObjectiveAndOneLessDoesNot) {
  const ServingProfile fast = accelerator(1);
  const Advice advice = advise({{&fast, {4'000'000}}}, kLoad, kObjective)[0];
  EXPECT_GE(advice.inside, 0.95);
  EXPECT_LT((advice.replicas - 1) * advice.capacity_per_s, kLoad.rate_per_s);
  EXPECT_EQ(advice.per_hour.micro, advice.replicas * 4'000'000);
}

TEST(Advise, BurstsCostMore) {
  const ServingProfile fast = accelerator(1);
  ServingLoad bursty = kLoad;
  bursty.gap_cv = 4;
  EXPECT_GE(advise({{&fast, {1}}}, bursty, kObjective)[0].replicas,
            advise({{&fast, {1}}}, kLoad, kObjective)[0].replicas);
}

}  // namespace
}  // namespace berth::core
