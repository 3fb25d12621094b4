#include "simulation/queueing/fcfs_queue.h"

#include <cmath>

#include <gtest/gtest.h>

#include "core/scaling/models/ggc.h"
#include "core/scaling/models/wait.h"

namespace berth::simulation {
namespace {

TEST(FcfsQueue, EqualSeedsGiveEqualAnswers) {
  const core::QueueLoad load{.arrivals_per_s = 0.8, .service_mean_s = 1};
  EXPECT_EQ(simulate_queue(load, 1000, 7).wait_mean_s, simulate_queue(load, 1000, 7).wait_mean_s);
  EXPECT_NE(simulate_queue(load, 1000, 7).wait_mean_s, simulate_queue(load, 1000, 8).wait_mean_s);
}

TEST(FcfsQueue, ModelsAgreeWithSimulation) {
  double worst_mean = 0, worst_p95 = 0;
  for (int servers : {1, 4, 12})
    for (double rho : {0.5, 0.8})
      for (double service_cv : {0.0, 0.5, 1.0, 1.4}) {
        const core::QueueLoad load{.arrivals_per_s = rho * servers,
                                   .service_mean_s = 1,
                                   .servers = servers,
                                   .service_cv = service_cv};
        const QueueSample seen = simulate_queue(load, 150'000, 1);
        const core::Wait wait = core::wait_ggc(load);
        const double p95 = core::response_percentile(wait, 1, service_cv, 0.95);
        worst_mean = std::max(worst_mean, std::abs((wait.mean_s() + 1) / seen.response_mean_s - 1));
        worst_p95 = std::max(worst_p95, std::abs(p95 / seen.response_p95_s - 1));
        EXPECT_NEAR(wait.probability(), seen.wait_probability, 0.02);
      }
  std::printf("worst error of the response: mean %.2f%%, p95 %.2f%%\n", 100 * worst_mean,
              100 * worst_p95);
  EXPECT_LT(worst_mean, 0.04);
  EXPECT_LT(worst_p95, 0.06);
}

}  // namespace
}  // namespace berth::simulation
