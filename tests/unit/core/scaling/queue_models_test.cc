#include <cmath>

#include <gtest/gtest.h>

#include "core/scaling/models/ggc.h"
#include "core/scaling/models/gmc.h"
#include "core/scaling/models/markovian.h"
#include "core/scaling/models/priority.h"
#include "core/scaling/models/random_walk.h"
#include "core/scaling/models/sizing.h"

namespace berth::core {
namespace {

QueueLoad load(double utilization, int servers, double arrival_cv = 1, double service_cv = 1) {
  return {.arrivals_per_s = utilization * servers / 2,
          .service_mean_s = 2,
          .servers = servers,
          .arrival_cv = arrival_cv,
          .service_cv = service_cv};
}

constexpr double kLoads[] = {0.1, 0.5, 0.9, 0.95, 0.99};

TEST(QueueModels, OneMarkovianServer) {
  for (double rho : kLoads) {
    const Wait wait = wait_mmc(load(rho, 1));
    EXPECT_NEAR(wait.mean_s(), 2 * rho / (1 - rho), 1e-9);
    EXPECT_NEAR(wait.probability(), rho, 1e-12);
  }
}

// The table of Hillier and Yu (1981): Erlang C for 10 servers at 80%.
TEST(QueueModels, ErlangC) {
  EXPECT_NEAR(erlang_c(10, 8), 0.40918, 1e-5);
}

TEST(QueueModels, PollaczekKhinchine) {
  for (double rho : kLoads)
    for (double cv : {0.0, 0.5, 1.4, 3.0}) {
      const double expected = rho / (1 - rho) * 2 * (1 + cv * cv) / 2;
      EXPECT_NEAR(wait_gg1(load(rho, 1, 1, cv)).mean_s() / expected, 1, 1e-4) << rho << " " << cv;
    }
}

TEST(QueueModels, ConstantServiceOneServer) {  // W = rho/(1-rho) * t/2
  for (double rho : kLoads)
    EXPECT_NEAR(wait_gdc(load(rho, 1)).mean_s() / (rho / (1 - rho)), 1, 1e-4);
}

// L. P. Seelen, H. C. Tijms, M. H. van Hoorn, Tables for multi-server queues (1985): M/D/c mean
// wait over M/M/c mean wait.
TEST(QueueModels, ConstantServiceManyServers) {
  const auto ratio = [](int servers, double rho) {
    return wait_gdc(load(rho, servers)).mean_s() / wait_mmc(load(rho, servers)).mean_s();
  };
  EXPECT_NEAR(ratio(5, 0.8), 0.5243, 0.01);
  EXPECT_NEAR(ratio(10, 0.9), 0.515, 0.012);
}

TEST(QueueModels, GeneralGapsWithExponentialServiceAgreeWithOneServer) {
  for (double ca : {0.3, 0.5, 1.5, 3.0})
    for (double rho : {0.3, 0.9}) {
      const Wait walk = wait_gg1(load(rho, 1, ca, 1)), chain = wait_gmc(load(rho, 1, ca, 1));
      EXPECT_NEAR(walk.mean_s() / chain.mean_s(), 1, 1e-4) << ca << " " << rho;
      EXPECT_NEAR(walk.probability(), chain.probability(), 1e-4);
      EXPECT_NEAR(walk.conditional_cv(), 1, 1e-2);
    }
}

TEST(QueueModels, KendallAgreesWithErlangNearPoissonGaps) {
  for (int servers : {1, 3, 20, 80})
    EXPECT_NEAR(
        wait_gmc(load(0.8, servers, 1.0001)).mean_s() / wait_mmc(load(0.8, servers)).mean_s(), 1,
        1e-2);
}

TEST(QueueModels, LossySystemWithoutWaitingRoomIsErlangB) {
  const LossyQueue queue = solve_mmck(load(0.8, 5), 5);
  EXPECT_NEAR(queue.rejected, erlang_b(5, 4), 1e-12);
  EXPECT_EQ(queue.wait_mean_s, 0);
}

TEST(QueueModels, LargeWaitingRoomIsTheOpenQueue) {
  const LossyQueue queue = solve_mmck(load(0.8, 5), 2000);
  EXPECT_NEAR(queue.wait_mean_s, wait_mmc(load(0.8, 5)).mean_s(), 1e-9);
  EXPECT_NEAR(queue.utilization, 0.8, 1e-9);
}

TEST(QueueModels, OverloadedLossySystemServesAtFullSpeed) {
  const LossyQueue queue = solve_mmck(load(3, 4), 50);
  EXPECT_NEAR(queue.rejected, 2.0 / 3, 1e-6);
}

TEST(QueueModels, PrioritiesKeepTheWorkOfOneClass) {
  // Conservation law: the load-weighted waits add up to those of first come, first served.
  const PriorityClass classes[] = {{0.1, 2, 0.5}, {0.1, 3, 1}, {0.2, 1, 2}};
  const auto waits = wait_means_nonpreemptive(classes);
  EXPECT_LT(waits[0], waits[1]);
  EXPECT_LT(waits[1], waits[2]);
  double weighted = 0, work = 0, found = 0;
  for (size_t i = 0; i < 3; ++i) {
    const auto& c = classes[i];
    const double rho = c.arrivals_per_s * c.service_mean_s;
    weighted += rho * waits[i];
    work += rho;
    found += rho * c.service_mean_s * (1 + c.service_cv * c.service_cv) / 2;
  }
  EXPECT_NEAR(weighted, work * found / (1 - work), 1e-9);
}

TEST(QueueModels, FirstOfPreemptiveClassesSeesOnlyItself) {
  const PriorityClass classes[] = {{0.25, 2, 1}, {10, 2, 1}};
  const auto responses = response_means_preemptive(classes);
  EXPECT_NEAR(responses[0], 2 / (1 - 0.5), 1e-9);
  EXPECT_TRUE(std::isinf(responses[1]));
}

TEST(QueueModels, OneClassOfManyServersIsErlang) {
  const double rates[] = {2.0};
  EXPECT_NEAR(wait_means_nonpreemptive_mmc(rates, 2, 5)[0], wait_mmc(load(0.8, 5)).mean_s(), 1e-9);
}

TEST(QueueModels, ResponseTailOfErlangQueueIsItsClosedForm) {
  const QueueLoad l = load(0.8, 4);
  for (double t : {0.5, 2.0, 8.0})
    EXPECT_NEAR(response_tail(wait_mmc(l), 2, 1, t), response_tail_mmc(l, t), 1e-6);
}

TEST(Sizing, SmallestIsSmallest) {
  const LatencyObjective objective{.of = LatencyObjective::Of::kWait, .bound_s = 0.5};
  QueueLoad l = load(1, 1, 1, 1.4);
  for (double rate : {0.2, 3.0, 40.0}) {
    l.arrivals_per_s = rate;
    const int servers = servers_for(l, objective).value();
    l.servers = servers;
    EXPECT_LT(forecast(l, objective).wait_p95_s, 0.5);
    l.servers = servers - 1;
    const QueueForecast fewer = forecast(l, objective);
    EXPECT_TRUE(l.servers == 0 || !fewer.stable || fewer.wait_p95_s >= 0.5) << rate;
  }
}

TEST(Sizing, ServiceLongerThanTheBoundIsNeverEnough) {
  const LatencyObjective objective{.of = LatencyObjective::Of::kResponse, .bound_s = 1};
  EXPECT_FALSE(servers_for(load(0.5, 1), objective).has_value());
  EXPECT_EQ(rate_for(load(0.5, 1), objective), 0);
}

TEST(Sizing, RateAndServersAreInverse) {
  const LatencyObjective objective{.of = LatencyObjective::Of::kWait, .bound_s = 1};
  QueueLoad l = load(0.5, 7, 1, 0.5);
  l.arrivals_per_s = rate_for(l, objective) * 0.999;
  EXPECT_EQ(servers_for(l, objective), 7);
  l.arrivals_per_s *= 1.002;
  EXPECT_EQ(servers_for(l, objective), 8);
}

}  // namespace
}  // namespace berth::core
