#include "controllers/scaling/service_scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::controllers {
namespace {

using testing::HasSubstr;

const auto kFirst = [](const std::string&) { return std::optional<size_t>(0); };
constexpr int64_t kBegin = 1'700'000'000;

ScalingSpec spec(int min = 0, int max = 6) {
  ScalingSpec spec;
  spec.model = "chat";
  spec.variants.resize(1);
  spec.policy = core::find_scaling_policy("queueing");
  spec.service.objective = {.ttft_s = 1, .tpot_s = 0.1, .attainment = 0.95};
  spec.service.min_replicas = min;
  spec.service.max_replicas = max;
  spec.service.max_in_flight = 4;
  spec.service.tuning.hold_s = 20;
  spec.service.tuning.idle_to_zero_s = 30;
  return spec;
}

/// A service whose orders are ready after two seconds, told of by one gateway.
class Live {
 public:
  explicit Live(ScalingSpec of = spec()) : scaler(std::move(of), {}, {}) {}

  /// So many seconds of so many requests a second of 0.4 s each.
  void load(int seconds, double rate) {
    for (int i = 0; i < seconds; ++i) {
      documents::ModelDemand demand{.model = "chat"};
      demand.sample.arrivals = demand.sample.ended = rate;
      demand.sample.prompt_tokens = 50 * rate;
      demand.sample.prompt_tokens2 = 2500 * rate;
      demand.sample.output_tokens = 20 * rate;
      demand.sample.concurrency = 0.4 * rate;
      demand.held = rate > 0 && counts.ready == 0;
      for (int n = 0; n < std::min(rate, 8.0) && counts.ready > 0; ++n)
        demand.served.push_back(
            {.request = {50, 20, 0.05, 0.4, std::min(4.0, rate / counts.ready)}, .pod = {}});
      scaler.on_demand(second, demand, 1, kFirst, at(1.0));
      step();
    }
  }
  /// No gateway tells anything.
  void silence(int seconds) {
    for (int i = 0; i < seconds; ++i) step();
  }
  void step() {
    ++second;
    decide(at(0.3));
    if (ready_at_ <= second) counts.ready = counts.ordered - counts.unplaceable;
  }
  void decide(Time now) {
    last = scaler.decide(counts, now);
    if (last.replicas > counts.ordered) ready_at_ = second + 2;
    counts.ordered = last.replicas;
    counts.ready = std::min(counts.ready, counts.ordered);
    most = std::max(most, counts.ordered);
  }
  Time at(double more_s) const {
    return Time{second * 1'000'000'000} +
           Duration::milliseconds(static_cast<int64_t>(1e3 * more_s));
  }

  ServiceScaler scaler;
  ServiceCounts counts;
  ScalingVerdict last;
  int64_t second = kBegin;
  int most = 0;

 private:
  int64_t ready_at_ = 0;
};

TEST(ServiceScaler, ComesFromZeroWithTheFirstHeldRequestBeforeItsWindowEnds) {
  Live live;
  live.load(3, 0);
  EXPECT_EQ(live.last.replicas, 0);
  documents::ModelDemand demand{.model = "chat", .held = true};
  demand.sample.arrivals = 1;
  live.scaler.on_demand(live.second, demand, 1, kFirst, live.at(0.5));
  live.decide(live.at(0.5));
  EXPECT_EQ(live.last.replicas, 1);
  EXPECT_THAT(live.last.reason, HasSubstr("a request waits"));
}

TEST(ServiceScaler, GrowsWithLoadHoldsAndGoesBackToZero) {
  Live live;
  live.load(20, 2);
  EXPECT_EQ(live.counts.ordered, 1);
  live.load(40, 40);
  const int grown = live.counts.ordered;
  EXPECT_GT(grown, 2);
  ASSERT_TRUE(live.last.growth);
  EXPECT_GT(live.last.growth->values.front(), 0);
  EXPECT_LT(live.last.growth->values.back(), live.last.growth->values.front());
  live.load(10, 1);
  EXPECT_EQ(live.counts.ordered, grown) << "held for 20 s after it was last wanted";
  EXPECT_THAT(live.last.reason, HasSubstr("requests/s of late"));
  live.load(80, 0);
  EXPECT_EQ(live.counts.ordered, 0);
  EXPECT_THAT(live.last.reason, HasSubstr("no request for "));
}

TEST(ServiceScaler, DoesNotFlapUnderASteadyLoad) {
  Live live;
  live.load(60, 20);
  int changes = 0;
  for (int i = 0; i < 120; ++i) {
    const int before = live.counts.ordered;
    live.load(1, 20);
    changes += live.counts.ordered != before ? 1 : 0;
  }
  EXPECT_LE(changes, 2);
}

TEST(ServiceScaler, StandsByBeyondTheLoadAndWhereThereIsNone) {
  for (const std::string_view policy : {"queueing", "saturation"}) {
    ScalingSpec standing = spec();
    standing.standby = 1;
    standing.policy = core::find_scaling_policy(policy);
    Live live(standing);
    live.silence(3);
    EXPECT_EQ(live.last.replicas, 1) << "before any gateway said a word";
    live.load(60, 0);
    EXPECT_EQ(live.last.replicas, 1) << policy << ": " << live.last.reason;
    EXPECT_THAT(live.last.reason, HasSubstr("; 1 of them stand by"));
    live.load(30, 2);
    EXPECT_EQ(live.last.replicas, 2) << policy << ": " << live.last.reason;
  }
  ScalingSpec least = spec(2);
  least.standby = 1;
  Live live(least);
  live.load(30, 2);
  EXPECT_EQ(live.last.replicas, 2) << "one that the load needs, and one that stands by";
  live.load(60, 40);
  const int grown = live.last.replicas;
  EXPECT_GT(grown, 3);
  EXPECT_LE(grown, 6);
}

TEST(ServiceScaler, SilenceIsNotTakenForQuiet) {
  Live live;
  live.load(30, 4);
  const int before = live.counts.ordered;
  ASSERT_GT(before, 0);
  live.silence(300);
  EXPECT_EQ(live.counts.ordered, before);
  EXPECT_THAT(live.last.reason, HasSubstr("no gateway has told anything"));
  live.load(80, 0);
  EXPECT_EQ(live.counts.ordered, 0);
}

TEST(ServiceScaler, WithoutAWordItStaysWithinItsRange) {
  Live live(spec(1));
  live.counts.ordered = 3;
  live.silence(5);
  EXPECT_EQ(live.last.replicas, 3);
  EXPECT_EQ(live.last.reason, "no gateway has told of requests yet");
}

TEST(ServiceScaler, WhatCannotBePlacedIsAskedForOnce) {
  Live live;
  live.load(30, 2);
  live.counts.unplaceable = 1;
  live.counts.ordered = 2;
  live.counts.ready = 1;
  live.counts.why_unplaceable = "no node has 1 nvidia.com/gpu";
  live.load(3, 40);
  EXPECT_EQ(live.last.replicas, 2) << live.last.reason;
  EXPECT_THAT(live.last.reason, HasSubstr("one cannot be placed: no node has 1 nvidia.com/gpu"));
}

TEST(ServiceScaler, LearnsWhatAReplicaTakesAndHandsItOn) {
  Live live;
  live.load(60, 8);
  live.scaler.on_started(0, Duration::seconds(7));
  live.load(1, 8);
  const Json measured(live.last.measured);
  EXPECT_EQ(objects::find(measured, {"leadSeconds"})->to_number<double>(), 7);
  EXPECT_GT(objects::find_int(measured, {"observedRequests"}), 100);
  ServiceScaler next(spec(), {}, live.last.measured);
  next.on_demand(live.second, {.model = "chat"}, 1, kFirst, live.at(1));
  const ScalingVerdict verdict = next.decide(live.counts, live.at(2));
  EXPECT_THAT(verdict.reason, HasSubstr("a start 7 s"));
  EXPECT_THAT(verdict.reason, HasSubstr("(+-30%)")) << "a measured start, of another time";
}

}  // namespace
}  // namespace berth::controllers
