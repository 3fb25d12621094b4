#include <set>

#include <gtest/gtest.h>

#include "core/scaling/policies/scaling_policy.h"
#include "core/scaling/serving/work_rates.h"

namespace berth::core {
namespace {

const ServingProfile& profile() {
  static const ServingProfile profile = [] {
    ServingProfile fitted;
    fitted.cost = LinearCost{.base_s = 0.0133,
                             .per_sequence_s = 4.2e-5,
                             .per_token_s = 3.1e-5,
                             .per_context_token_s = 4.7e-8,
                             .per_prompt_pair_s = 8e-9};
    fitted.limits.max_sequences = 128;
    return fitted;
  }();
  return profile;
}

ScaledService service() {
  ScaledService service;
  service.profile = &profile();
  service.objective = {.ttft_s = 2, .tpot_s = 0.06, .attainment = 0.99};
  service.max_in_flight = 128;
  service.shapes = {{1024, 128}};
  return service;
}

/// A service played to a policy, a window a second and a decision every five. Orders are ready at
/// once: what is looked at is the rule.
class Played {
 public:
  Played(std::string_view policy, const ScaledService& of = service(), int first = 1)
      : replicas(first), service_(of), policy_(find_scaling_policy(policy)->make(of)) {}

  /// So many seconds of so many requests a second, with `in_flight` of them being served.
  int load(int seconds, double rate, double in_flight, double waiting = 0) {
    for (int i = 0; i < seconds; ++i) {
      ServiceSample sample;
      sample.arrivals = sample.ended = rate;
      sample.prompt_tokens = rate * 1024;
      sample.prompt_tokens2 = rate * 1024 * 1024;
      sample.output_tokens = rate * 128;
      sample.concurrency = in_flight;
      sample.waiting = waiting;
      samples_.push_back(sample);
      now_s_ += 1;
      if (static_cast<int>(now_s_) % 5 == 0) decide();
    }
    return replicas;
  }

  void decide() {
    const std::span<const ServiceSample> all = samples_;
    last = policy_->decide(
        {now_s_, all.size() > kSampleMemory ? all.last(kSampleMemory) : all, replicas, 0});
    if (last.replicas != replicas) ++changes;
    replicas = last.replicas;
  }

  int replicas;
  int changes = 0;
  ScalingDecision last;

 private:
  const ScaledService service_;
  std::unique_ptr<ScalingPolicy> policy_;
  std::vector<ServiceSample> samples_;
  double now_s_ = 0;
};

/// Replicas that the work of a rate keeps busy.
double offered(double rate) {
  const ScaledService of = service();
  const WorkRates rates = work_rates(profile(), of.shapes, 0.06, 128);
  return rate * rates.work_s(1024, 128) / rates.capacity;
}

TEST(ScalingPolicies, EachNameIsOneRow) {
  std::set<std::string_view> names;
  for (const ScalingPolicyRow& row : scaling_policies()) {
    EXPECT_TRUE(names.insert(row.name).second);
    EXPECT_EQ(find_scaling_policy(row.name), &row);
  }
  EXPECT_EQ(find_scaling_policy("none"), nullptr);
}

TEST(ScalingPolicies, AllStayWithinBounds) {
  for (const ScalingPolicyRow& row : scaling_policies()) {
    ScaledService of = service();
    of.min_replicas = 2;
    of.max_replicas = 4;
    Played played(row.name, of, 2);
    EXPECT_EQ(played.load(900, 200, 2000, 1500), 4) << row.name;
    EXPECT_EQ(played.load(3600, 0.01, 0), 2) << row.name;
  }
}

TEST(Queueing, HoldsWhatTheWorkNeedsWithRoomForBursts) {
  Played played("queueing", service(), 3);
  played.load(1800, 40, 100);
  EXPECT_GE(played.replicas, offered(40));
  EXPECT_LE(played.replicas, offered(40) * 1.4 + 1);
  EXPECT_FALSE(played.last.reason.empty());
}

TEST(Queueing, SaysWhatIsNeededUnroundedWhateverTheBounds) {
  ScaledService of = service();
  of.unrounded = true;
  Played free("queueing", of), bounded("queueing", [&] {
    ScaledService less = of;
    less.max_replicas = 2;
    return less;
  }());
  free.load(1800, 40, 100);
  bounded.load(1800, 40, 100);
  EXPECT_GT(free.last.needed, free.replicas - 1.02);
  EXPECT_LE(free.last.needed, free.replicas * 1.01);
  EXPECT_EQ(bounded.replicas, 2);
  EXPECT_NEAR(bounded.last.needed, free.last.needed, 0.05 * free.last.needed);
  free.load(900, 0, 0);
  EXPECT_EQ(free.last.needed, 0) << "idle";
}

TEST(Queueing, SteadyLoadDoesNotFlap) {
  Played played("queueing", service(), 3);
  played.load(900, 40, 100);
  played.changes = 0;
  played.load(3600, 40, 100);
  EXPECT_LE(played.changes, 1);
}

TEST(Queueing, LastReplicasAreWorthLess) {
  Played played("queueing", service(), 3);
  played.load(1800, 40, 100);
  const std::vector<double>& values = played.last.marginal_values;
  ASSERT_EQ(values.size(), static_cast<size_t>(played.replicas) + 1);
  EXPECT_GT(values.front(), 0);
  EXPECT_LT(values.back(), values.front());
}

TEST(Queueing, GoesToZeroWhenNothingComesAndBackWithTheFirst) {
  Played played("queueing");
  played.load(600, 5, 10);
  EXPECT_GE(played.replicas, 1);
  EXPECT_EQ(played.load(1200, 0, 0), 0);
  EXPECT_GE(played.load(5, 0.2, 1, 1), 1);
}

TEST(Queueing, ABurstyHourNeedsMoreThanASmoothOne) {
  Played smooth("queueing", service(), 3), bursty("queueing", service(), 3);
  smooth.load(1800, 40, 100);
  for (int i = 0; i < 30; ++i) {
    bursty.load(50, 16, 50);
    bursty.load(10, 160, 300);
  }
  EXPECT_GT(bursty.replicas, smooth.replicas);
}

TEST(Hpa, IsTheRatioToItsTargetAndSlowDown) {
  ScaledService of = service();
  of.max_in_flight = 10;  // target 7
  Played played("hpa", of, 4);
  EXPECT_EQ(played.load(30, 10, 28), 4);   // at the target
  EXPECT_EQ(played.load(30, 10, 42), 6);   // ceil(4 * 10.5 / 7)
  EXPECT_EQ(played.load(200, 10, 14), 6);  // not within five minutes
  EXPECT_EQ(played.load(200, 10, 14), 2);
}

TEST(Hpa, ToleratesATenth) {
  ScaledService of = service();
  of.max_in_flight = 10;
  Played played("hpa", of, 4);
  EXPECT_EQ(played.load(60, 10, 30), 4);
}

TEST(Kpa, PanicsOnTwiceWhatIsReadyAndHoldsForAMinute) {
  ScaledService of = service();
  of.max_in_flight = 10;  // target 7
  Played played("kpa", of, 2);
  EXPECT_EQ(played.load(60, 10, 14), 2);
  EXPECT_EQ(played.load(10, 10, 70), 10);  // panic: its window asks for 10 of 2
  EXPECT_EQ(played.load(40, 10, 14), 10);  // held
  played.load(120, 10, 14);
  EXPECT_EQ(played.replicas, 2);
}

TEST(Saturation, OneMoreWhenTheQueueFills) {
  Played played("saturation", service(), 2);
  EXPECT_EQ(played.load(30, 10, 20, 0), 1);
  Played full("saturation", service(), 2);
  EXPECT_EQ(full.load(30, 10, 250, 8), 3);
}

TEST(Throughput, IsBlindToPrompts) {
  Played played("throughput", service(), 3);
  EXPECT_EQ(played.load(400, 40, 100), 2);
  EXPECT_GT(offered(40), 2);
}

}  // namespace
}  // namespace berth::core
