#include "simulation/fleet/fleet.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "simulation/fleet/comparison.h"
#include "simulation/fleet/oracle.h"
#include "simulation/serving/replay.h"

namespace berth::simulation {
namespace {

const core::ServingProfile& profile() {
  static const core::ServingProfile profile = [] {
    core::ServingProfile fitted;
    fitted.cost = core::LinearCost{.base_s = 0.0133,
                                   .per_sequence_s = 4.2e-5,
                                   .per_token_s = 3.1e-5,
                                   .per_context_token_s = 4.7e-8,
                                   .per_prompt_pair_s = 8e-9};
    fitted.limits.max_sequences = 128;
    return fitted;
  }();
  return profile;
}

RequestLoad poisson(double rate, double length_s, uint64_t seed) {
  Rng rng(seed);
  RequestLoad workload{{}, length_s};
  for (double now_s = rng.exponential(1 / rate); now_s < length_s;
       now_s += rng.exponential(1 / rate))
    workload.requests.push_back(
        {now_s, 1 + static_cast<int>(rng.below(2000)), 1 + static_cast<int>(rng.below(300)), 0});
  return workload;
}

FleetRun run_of(const RequestLoad& workload, int replicas) {
  FleetRun run;
  run.workload = &workload;
  run.service.profile = &profile();
  run.service.objective = {.ttft_s = 2, .tpot_s = 0.06, .attainment = 0.99};
  run.service.shapes = shapes_of(workload);
  run.initial_replicas = replicas;
  return run;
}

FleetScaler always(int replicas) {
  return [replicas](const core::ServiceView&) { return replicas; };
}

TEST(Fleet, OneReplicaBehindAPlainGatewayIsTheReplayedEngine) {
  const RequestLoad workload = poisson(4, 300, 3);
  FleetRun run = run_of(workload, 1);
  run.gateway = FleetGateway::kPlain;
  const FleetOutcome outcome = run_fleet(run, always(1));
  std::vector<traces::ServedRequest> log(workload.requests.size());
  for (size_t i = 0; i < log.size(); ++i) {
    log[i].arrival_s = workload.requests[i].arrival_s;
    log[i].prompt_tokens = workload.requests[i].prompt_tokens;
    log[i].output_tokens = workload.requests[i].output_tokens;
  }
  const ServingRun replayed = replay(profile(), log);
  int64_t inside = 0, ended = 0;
  for (size_t i = 0; i < log.size(); ++i) {
    if (log[i].arrival_s + replayed.requests[i].e2e_s >= 300) continue;
    ++ended;
    inside += replayed.requests[i].ttft_s <= 2 && replayed.requests[i].tpot_s <= 0.06;
  }
  EXPECT_EQ(outcome.requests, ended);
  EXPECT_EQ(outcome.inside, inside);
  EXPECT_DOUBLE_EQ(outcome.device_s, 300);
}

TEST(Fleet, EveryRequestHasOneOutcomeAndRunsAreEqual) {
  const RequestLoad workload = poisson(30, 300, 5);
  const FleetRun run = run_of(workload, 2);
  const FleetOutcome one = run_fleet(run, *core::find_scaling_policy("queueing"));
  const FleetOutcome two = run_fleet(run, *core::find_scaling_policy("queueing"));
  EXPECT_EQ(one.requests, one.inside + one.refused + one.late + one.slow);
  EXPECT_LE(one.requests, static_cast<int64_t>(workload.requests.size()));
  EXPECT_EQ(one.inside, two.inside);
  EXPECT_EQ(one.device_s, two.device_s);
  EXPECT_EQ(one.misses_by_minute, two.misses_by_minute);
}

TEST(Fleet, AReplicaIsPaidForFromItsOrderAndReadyAColdStartLater) {
  RequestLoad workload{{{100, 10, 2, 0}}, 200};
  FleetRun run = run_of(workload, 0);
  run.service.cold_start_s = 60;
  run.gateway = FleetGateway::kPlain;
  run.service.objective.ttft_s = 100;
  // Ordered at 100, ready at 160, given up at 180.
  const FleetOutcome outcome = run_fleet(run, [](const core::ServiceView& view) {
    return view.now_s >= 100 && view.now_s < 180 ? 1 : 0;
  });
  EXPECT_EQ(outcome.inside, 1);
  EXPECT_EQ(outcome.cold_starts, 1);
  EXPECT_DOUBLE_EQ(outcome.device_s, 80);
  EXPECT_GT(outcome.ttft_p95_s, 60);
}

TEST(Fleet, ScalingDownDrainsAndCutsNothing) {
  RequestLoad workload{{{1, 100, 400, 0}}, 100};
  FleetRun run = run_of(workload, 1);
  const FleetOutcome outcome =
      run_fleet(run, [](const core::ServiceView& view) { return view.now_s < 5 ? 1 : 0; });
  EXPECT_EQ(outcome.inside, 1);
  EXPECT_GT(outcome.device_s, 6);   // it ran on to the answer's end
  EXPECT_LT(outcome.device_s, 30);  // and no longer
}

TEST(Fleet, WhatCannotBeginInTimeIsRefused) {
  const RequestLoad workload = poisson(60, 120, 7);
  const FleetOutcome paced = run_fleet(run_of(workload, 1), always(1));
  EXPECT_GT(paced.refused, 0);
  FleetRun plain = run_of(workload, 1);
  plain.gateway = FleetGateway::kPlain;
  const FleetOutcome unpaced = run_fleet(plain, always(1));
  EXPECT_EQ(unpaced.refused, 0);
  EXPECT_GT(paced.inside, 2 * unpaced.inside);
}

TEST(Oracle, NeedsNoMoreThanAStaticFleetAndAttainsAsMuch) {
  RequestLoad workload = poisson(10, 1200, 1);
  for (const FleetRequest& request : poisson(50, 300, 2).requests) {
    workload.requests.push_back(request);
    workload.requests.back().arrival_s += 600;
  }
  std::stable_sort(
      workload.requests.begin(), workload.requests.end(),
      [](const FleetRequest& a, const FleetRequest& b) { return a.arrival_s < b.arrival_s; });
  const FleetRun run = run_of(workload, 2);
  const ScheduleOracle oracle(run, 12);
  const FleetOutcome best = oracle.with_attainment(0.99);
  const FleetOutcome& fixed = oracle.static_peak(0.99);
  EXPECT_GE(best.attainment(), 0.99);
  EXPECT_GE(fixed.attainment(), 0.99);
  EXPECT_LT(best.device_s, 0.8 * fixed.device_s);
  const FleetOutcome berth = run_fleet(run, *core::find_scaling_policy("queueing"));
  EXPECT_GE(berth.device_s, oracle.with_attainment(berth.attainment()).device_s * 0.98);
}

TEST(Superpose, WrapsAndKeepsEveryRequest) {
  std::vector<traces::ServedRequest> trace(10);
  for (size_t i = 0; i < trace.size(); ++i) {
    trace[i].arrival_s = static_cast<double>(i);
    trace[i].prompt_tokens = trace[i].output_tokens = 1;
  }
  const RequestLoad workload = superpose(trace, 3, 8);
  EXPECT_EQ(workload.requests.size(), 30u);
  for (size_t i = 1; i < workload.requests.size(); ++i)
    EXPECT_LE(workload.requests[i - 1].arrival_s, workload.requests[i].arrival_s);
  EXPECT_LT(workload.requests.back().arrival_s, workload.length_s);
  EXPECT_EQ(superpose(trace, 3, 8).requests[5].arrival_s, workload.requests[5].arrival_s);
}

TEST(SyntheticWeek, HasItsRateAndItsWave) {
  SyntheticWeek shape;
  shape.length_s = 2 * 86'400;
  shape.mean_rate_per_s = 1;
  shape.flash_crowds = 0;
  const RequestLoad workload = synthetic_week(shape, 1);
  EXPECT_NEAR(static_cast<double>(workload.requests.size()), shape.length_s, 0.1 * shape.length_s);
  const RequestLoad night = part_of(workload, 86'400 - 3600, 86'400 + 3600);
  const RequestLoad noon = part_of(workload, 1.5 * 86'400 - 3600, 1.5 * 86'400 + 3600);
  EXPECT_GT(noon.requests.size(), 3 * night.requests.size());
}

TEST(Fleet, AnAnswerThatTakesTooLongAsAWholeIsOutside) {
  const RequestLoad workload{{{1, 10, 300, 0}}, 60};  // 300 iterations of 13.4 ms
  FleetRun run = run_of(workload, 1);
  run.gateway = FleetGateway::kPlain;
  run.service.objective.latency_s = 5;
  EXPECT_EQ(run_fleet(run, always(1)).inside, 1);
  run.service.objective.latency_s = 3;
  const FleetOutcome outcome = run_fleet(run, always(1));
  EXPECT_EQ(outcome.inside, 0);
  EXPECT_EQ(outcome.slow, 1);
}

TEST(Fleet, ABoundOnWholeAnswersAloneIsScaledFor) {
  const RequestLoad workload = with_lead_in(poisson(60, 1200, 5), 600);
  const auto play = [&](double latency_s) {
    FleetRun run = run_of(workload, 2);
    run.warm_up_s = 600;
    run.service.cold_start_s = 30;
    run.service.objective = {
        .ttft_s = latency_s, .tpot_s = latency_s, .latency_s = latency_s, .attainment = 0.95};
    return run_fleet(run, *core::find_scaling_policy("queueing"));
  };
  const FleetOutcome loose = play(20), tight = play(8);
  EXPECT_GE(loose.attainment(), 0.95);
  EXPECT_GE(tight.attainment(), 0.95);
  EXPECT_GT(tight.device_s, 1.5 * loose.device_s);
}

}  // namespace
}  // namespace berth::simulation
