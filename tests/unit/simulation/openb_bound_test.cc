#include "simulation/openb_bound.h"

#include <gtest/gtest.h>

#include "core/placement/policies/policy.h"
#include "simulation/openb.h"

namespace berth::simulation {
namespace {

using traces::OpenbArrivals;
using traces::OpenbNode;
using traces::OpenbPod;

struct StoppedClock final : Clock {
  Time now() const override { return {}; }
};

OpenbArrivals in_order(size_t nodes, size_t pods) {
  OpenbArrivals arrivals;
  for (uint32_t i = 0; i < nodes; ++i) arrivals.nodes.push_back(i);
  for (uint32_t i = 0; i < pods; ++i) arrivals.pods.push_back(i);
  return arrivals;
}

double bound(const std::vector<OpenbNode>& nodes, const std::vector<OpenbPod>& pods) {
  return openb_upper_bound_percent(nodes, pods, in_order(nodes.size(), pods.size()));
}

TEST(OpenbBound, WholeDevicesCanFillTheCluster) {
  const std::vector<OpenbNode> nodes(2, {64000, 65536, 2, "A"});
  const std::vector<OpenbPod> pods(4, {1000, 1024, 1, 1000, ""});
  EXPECT_NEAR(bound(nodes, pods), 100, 1e-9);
}

TEST(OpenbBound, LargeSharesLeaveTheRestOfTheirDeviceIdle) {
  const std::vector<OpenbNode> nodes(1, {64000, 65536, 4, "A"});
  // 5 x 800 milli arrive for 4 devices: 4 fit.
  EXPECT_NEAR(bound(nodes, std::vector<OpenbPod>(5, {1000, 1024, 1, 800, ""})), 80, 0.2);
  // Two of 400 fit a device, a third does not.
  EXPECT_NEAR(bound(nodes, std::vector<OpenbPod>(10, {1000, 1024, 1, 400, ""})), 80, 0.2);
}

TEST(OpenbBound, CpuAndModelsLimit) {
  const std::vector<OpenbNode> nodes = {{8000, 65536, 4, "A"}, {8000, 65536, 4, "B"}};
  // Of 8 devices, the CPU feeds 4 with 4 cores each; of model A only 2.
  EXPECT_NEAR(bound(nodes, std::vector<OpenbPod>(8, {4000, 1024, 1, 1000, ""})), 50, 0.2);
  EXPECT_NEAR(bound(nodes, std::vector<OpenbPod>(8, {4000, 1024, 1, 1000, "A"})), 25, 0.2);
  EXPECT_NEAR(bound(nodes, std::vector<OpenbPod>(8, {4000, 1024, 1, 1000, "C"})), 0, 1e-9);
}

TEST(OpenbBound, NoPolicyPassesItOnRandomClusters) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    std::vector<OpenbNode> nodes;
    std::vector<OpenbPod> pods;
    for (uint64_t i = 0; i < 24; ++i) {
      nodes.push_back({static_cast<int64_t>(16000 + 8000 * (i * seed % 5)), 1 << 17, i % 3 ? 8 : 2,
                       i % 4 ? "A" : "B"});
    }
    for (uint64_t i = 0; i < 200; ++i) {
      const int milli = static_cast<int>(50 + 10 * (i * i * seed % 90));
      pods.push_back({static_cast<int64_t>(500 * (i * seed % 9)), 512, i % 11 ? 1 : 2,
                      i % 11 && i % 3 ? milli : 1000, i % 13 ? "" : "B"});
    }
    const OpenbArrivals arrivals = generate_openb_arrivals(nodes, pods, seed);
    const double most = openb_upper_bound_percent(nodes, pods, arrivals);
    EXPECT_LE(most, 101);
    for (const core::PlacementPolicy& policy : core::placement_policies()) {
      const auto result = run_openb({nodes, pods, arrivals, policy.name}, StoppedClock());
      ASSERT_TRUE(result);
      EXPECT_LE(result->allocated_percent_at_100, most + 0.006) << policy.name;
    }
  }
}

}  // namespace
}  // namespace berth::simulation
