#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "core/scaling/serving/block_pool.h"
#include "core/scaling/serving/continuous_batching.h"
#include "core/scaling/serving/serving_profile.h"
#include "core/scaling/serving/steady_state.h"

namespace berth::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// An iteration takes 1 s, whatever it holds.
ServingProfile unit_profile(BatchingLimits limits = {}) {
  ServingProfile profile;
  profile.cost = LinearCost{.base_s = 1};
  profile.limits = limits;
  return profile;
}

TEST(LinearCost, AddsUpItsTerms) {
  const LinearCost cost{.base_s = 1,
                        .per_sequence_s = 10,
                        .per_token_s = 100,
                        .per_context_token_s = 1000,
                        .per_prompt_pair_s = 1e4};
  Batch batch{.prompts = {{.tokens = 4, .context = 6}}, .decodes = 2, .decode_context_sum = 5};
  EXPECT_EQ(cost.seconds(batch), 1 + 10 * 3 + 100 * 6 + 1000 * 5 + 1e4 * 4 * (6 + 2));
}

TEST(Curve, InterpolatesAndGoesOn) {
  const Curve curve{.x = {1, 3, 5}, .y = {10, 20, 40}};
  EXPECT_EQ(curve.at(0.5), 10);
  EXPECT_EQ(curve.at(2), 15);
  EXPECT_EQ(curve.at(5), 40);
  EXPECT_EQ(curve.at(7), 60);
}

TEST(BlockPool, ReusesTheOldestFirstAndKeepsBeginnings) {
  BlockPool pool(10, true);
  pool.take(10);
  pool.give_back(1, 4, 5);  // the last of its blocks holds nothing whole
  EXPECT_EQ(pool.free(), 5);
  EXPECT_EQ(pool.cached(1), 4);
  pool.take(2);  // the empty one, then the end of sequence 1
  EXPECT_EQ(pool.cached(1), 3);
  pool.reuse(1, 3);
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.cached(1), 0);
}

TEST(BlockPool, WithoutCachingNothingIsKept) {
  BlockPool pool(4, false);
  pool.take(4);
  pool.give_back(1, 4, 4);
  EXPECT_EQ(pool.cached(1), 0);
  EXPECT_EQ(pool.free(), 4);
}

TEST(ContinuousBatching, PromptThenATokenAnIteration) {
  const ServingProfile profile = unit_profile();
  ContinuousBatching engine(profile);
  engine.submit(7, 100, 3);
  EXPECT_THAT(engine.step().first_token, ElementsAre(7));
  EXPECT_THAT(engine.step().finished, IsEmpty());
  EXPECT_THAT(engine.step().finished, ElementsAre(7));
  EXPECT_TRUE(engine.idle());
}

TEST(ContinuousBatching, LongPromptsAreChunked) {
  const ServingProfile profile = unit_profile({.max_batched_tokens = 40});
  ContinuousBatching engine(profile);
  engine.submit(1, 100, 1);
  EXPECT_THAT(engine.step().first_token, IsEmpty());
  EXPECT_THAT(engine.step().first_token, IsEmpty());
  const auto& last = engine.step();
  EXPECT_THAT(last.first_token, ElementsAre(1));
  EXPECT_THAT(last.finished, ElementsAre(1));
}

TEST(ContinuousBatching, DecodesGoBeforeNewPrompts) {
  const ServingProfile profile = unit_profile({.max_batched_tokens = 10});
  ContinuousBatching engine(profile);
  engine.submit(1, 10, 5);
  engine.step();
  engine.submit(2, 10, 1);
  engine.step();  // one token of 1, nine of 2
  EXPECT_THAT(engine.step().first_token, ElementsAre(2));
}

TEST(ContinuousBatching, SequencesAreLimited) {
  const ServingProfile profile = unit_profile({.max_sequences = 1});
  ContinuousBatching engine(profile);
  engine.submit(1, 5, 1);
  engine.submit(2, 5, 1);
  EXPECT_THAT(engine.step().finished, ElementsAre(1));
  EXPECT_THAT(engine.step().finished, ElementsAre(2));
}

TEST(ContinuousBatching, OutOfMemoryPreemptsTheYoungestAndLosesNothing) {
  const ServingProfile profile = unit_profile({.block_tokens = 4, .kv_blocks = 4});
  ContinuousBatching engine(profile);
  engine.submit(1, 8, 8);  // both fit at first: two blocks each; grown they do not
  engine.submit(2, 8, 8);
  std::vector<uint32_t> finished;
  for (int i = 0; i < 100 && !engine.idle(); ++i)
    for (uint32_t sequence : engine.step().finished) finished.push_back(sequence);
  EXPECT_THAT(finished, ElementsAre(1, 2));
  EXPECT_GE(engine.preemptions(), 1);
  EXPECT_EQ(engine.kv_used(), 0);
}

TEST(ContinuousBatching, RefusesWhatCanNeverFit) {
  const ServingProfile profile = unit_profile({.block_tokens = 4, .kv_blocks = 4});
  ContinuousBatching engine(profile);
  engine.submit(1, 10, 7);
  engine.submit(2, 10, 6);
  const auto& iteration = engine.step();
  EXPECT_THAT(iteration.refused, ElementsAre(1));
  EXPECT_THAT(iteration.first_token, ElementsAre(2));
}

struct Answered {
  std::vector<double> first_s, last_s;
};

/// 300 random requests, iteration by iteration or in stretches that arrivals cut.
Answered run_engine(const ServingProfile& profile, bool stretches) {
  Rng rng(9);
  struct Request {
    double at_s;
    int prompt, output;
  };
  std::vector<Request> requests;
  double at_s = 0;
  for (int i = 0; i < 300; ++i) {
    at_s += rng.exponential(0.4);
    requests.push_back(
        {at_s, 1 + static_cast<int>(rng.below(900)), 1 + static_cast<int>(rng.below(200))});
  }
  Answered answered{std::vector<double>(300), std::vector<double>(300)};
  ContinuousBatching engine(profile);
  double now_s = 0;
  size_t next = 0;
  while (next < requests.size() || !engine.idle()) {
    if (engine.idle()) now_s = std::max(now_s, requests[next].at_s);
    for (; next < requests.size() && requests[next].at_s <= now_s; ++next)
      engine.submit(static_cast<uint32_t>(next), requests[next].prompt, requests[next].output);
    const ContinuousBatching::Iteration* iteration;
    if (stretches) {
      const double length_s = engine.begin();
      if (next < requests.size() && requests[next].at_s < now_s + length_s)
        engine.cut(requests[next].at_s - now_s);
      iteration = &engine.finish();
    } else {
      iteration = &engine.step();
    }
    now_s += iteration->seconds;
    for (uint32_t i : iteration->first_token) answered.first_s[i] = now_s;
    for (uint32_t i : iteration->finished) answered.last_s[i] = now_s;
  }
  return answered;
}

TEST(ContinuousBatching, StretchesAreTheSameAsIterations) {
  for (const int blocks : {0, 150}) {
    ServingProfile profile = unit_profile({.max_sequences = 24, .kv_blocks = blocks});
    profile.cost = LinearCost{.base_s = 0.012,
                              .per_sequence_s = 5e-5,
                              .per_token_s = 6e-5,
                              .per_context_token_s = 2e-7,
                              .per_prompt_pair_s = 4e-9};
    const Answered one = run_engine(profile, false);
    const Answered many = run_engine(profile, true);
    for (size_t i = 0; i < one.last_s.size(); ++i) {
      EXPECT_NEAR(one.first_s[i], many.first_s[i], 1e-6) << i << " with blocks " << blocks;
      EXPECT_NEAR(one.last_s[i], many.last_s[i], 1e-6) << i << " with blocks " << blocks;
    }
  }
}

TEST(ServingObjective, OfTheWholeAnswerIsSplitBetweenItsParts) {
  const std::vector<RequestShape> shapes = {{100, 11}, {100, 101}};
  const ServingObjective whole{.ttft_s = 8, .tpot_s = 8, .latency_s = 8, .attainment = 0.9};
  EXPECT_DOUBLE_EQ(planned(whole, shapes).tpot_s, 0.06) << "6 s for 100 gaps";
  EXPECT_DOUBLE_EQ(planned(whole, shapes).ttft_s, 2);
  const ServingObjective tight{.ttft_s = 1, .tpot_s = 0.02, .latency_s = 8, .attainment = 0.9};
  EXPECT_DOUBLE_EQ(planned(tight, shapes).tpot_s, 0.02) << "no bound is loosened";
  EXPECT_DOUBLE_EQ(planned(tight, shapes).ttft_s, 1);
  EXPECT_EQ(planned({.ttft_s = 3}, shapes).ttft_s, 3) << "nothing is asked of the whole";
  EXPECT_TRUE(whole.holds(7, 7, 8));
  EXPECT_FALSE(whole.holds(1, 0.01, 8.1));
}

}  // namespace
}  // namespace berth::core
