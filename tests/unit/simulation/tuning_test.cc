#include "simulation/fleet/tuning.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace berth::simulation {
namespace {

TEST(TunePolicy, FindsSavingsOnASmoothLoadAndProvesThem) {
  core::ServingProfile profile;
  profile.cost =
      core::LinearCost{.base_s = 0.0133, .per_sequence_s = 4.2e-5, .per_token_s = 3.1e-5};
  profile.limits.max_sequences = 128;
  RequestLoad workload{{}, 1500};
  Rng rng(2);
  for (double now_s = 0; now_s < workload.length_s; now_s += rng.exponential(0.06))
    workload.requests.push_back({now_s, 2500, 40, 0});
  core::ScaledService service;
  service.profile = &profile;
  service.objective = {.ttft_s = 2, .tpot_s = 0.06, .attainment = 0.95};
  service.max_in_flight = 128;
  service.tuning.efficiency = 0.4;  // as a user's that buys far too much
  const TunedPolicy tuned = tune_policy(workload, service);
  EXPECT_GT(tuned.tuning.efficiency, 0.6);
  EXPECT_LT(tuned.after.device_s, 0.8 * tuned.before.device_s);
  EXPECT_GE(tuned.after_held_out.attainment(), 0.95);
  EXPECT_TRUE(tuned.proven(0.95));
  EXPECT_GT(tuned.tried, 20);
}

TEST(TunePolicy, WhatMissesMoreWhereItWasNotSearchedIsNotProven) {
  const auto outcome = [](int64_t inside, double device_s) {
    FleetOutcome made;
    made.requests = 100;
    made.inside = inside;
    made.device_s = device_s;
    return made;
  };
  TunedPolicy tuned;
  tuned.before_held_out = outcome(97, 100);
  tuned.after_held_out = outcome(90, 50);
  EXPECT_FALSE(tuned.proven(0.95));
  tuned.after_held_out.inside = 96;
  EXPECT_TRUE(tuned.proven(0.95));
}

}  // namespace
}  // namespace berth::simulation
