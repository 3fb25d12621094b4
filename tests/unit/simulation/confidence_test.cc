#include "simulation/confidence.h"

#include <vector>

#include <gtest/gtest.h>

namespace berth::simulation {
namespace {

TEST(Confidence, IsStudentsInterval) {
  EXPECT_EQ(confidence_95({}), 0);
  EXPECT_EQ(confidence_95(std::vector<double>{3}), 0);
  // Mean 2, standard error 1 / sqrt(3), t = 4.303.
  EXPECT_NEAR(confidence_95(std::vector<double>{1, 2, 3}), 2.484, 0.001);
}

}  // namespace
}  // namespace berth::simulation
