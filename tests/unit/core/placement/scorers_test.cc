#include <gtest/gtest.h>

#include "core/placement/fragmentation.h"
#include "core/placement/policies/policy.h"
#include "core/placement/scorers/best_fit.h"
#include "core/placement/scorers/clustering.h"
#include "core/placement/scorers/dot_product.h"
#include "core/placement/scorers/expected_use.h"
#include "core/placement/scorers/fgd.h"
#include "core/placement/scorers/packing.h"

namespace berth::core {
namespace {

Request share(int milli, int64_t cpu = 1000) {
  return {cpu, 0, 1, static_cast<int16_t>(milli)};
}
Request whole(int devices, int64_t cpu = 1000) {
  return {cpu, 0, static_cast<int16_t>(devices), kWholeDevice};
}
Request cpu_only(int64_t cpu) {
  return {cpu, 0, 0, 0};
}

/// One node of 64 cores and four devices with this much left of each.
Fleet node_with(std::initializer_list<int> left) {
  Fleet fleet;
  fleet.add_node(64000, 0, static_cast<int>(left.size()), 0);
  size_t d = 0;
  for (int free : left) {
    if (free < 1000) fleet.take(0, share(1000 - free, 0), device_bit(d));
    ++d;
  }
  return fleet;
}

TEST(BestFit, CountsWhatIsLeftAfterwards) {
  // 32 of 128 cores left: 0.125. 2000 of 8000 milli left: 0.125. 100 * (1 - 0.25).
  EXPECT_EQ(BestFitScorer().score(node_with({1000, 1000, 1000, 1000}), 0, whole(2, 32000)), 75);
}

TEST(DotProduct, PrefersTheLeastAligned) {
  // 64/128 * 32/128 + 4000/8000 * 2000/8000 = 0.25; 100 * (1 - 0.125), truncated.
  EXPECT_EQ(DotProductScorer().score(node_with({1000, 1000, 1000, 1000}), 0, whole(2, 32000)), 87);
}

TEST(Packing, PutsSharedDevicesBeforeIdleOnesBeforeEmptyNodes) {
  PackingScorer packing;
  EXPECT_EQ(packing.score(node_with({400, 1000}), 0, share(300)), 96);   // 100 - 40 / 10
  EXPECT_EQ(packing.score(node_with({400, 1000}), 0, share(500)), 49);   // 50 - 1
  EXPECT_EQ(packing.score(node_with({1000, 1000}), 0, share(500)), 31);  // 33 - 2
  EXPECT_EQ(packing.score(node_with({400, 1000}), 0, cpu_only(1)), 0);
}

TEST(Clustering, KeepsLikeWithLike) {
  ClusteringScorer clustering;
  // 4 devices are missing to 8 and one of the four is half used: 25 * 4500 / 8000 = 14.
  EXPECT_EQ(clustering.score(node_with({500, 1000, 1000, 1000}), 0, share(300)), 75 + 14);
  EXPECT_EQ(clustering.score(node_with({500, 1000, 1000, 1000}), 0, whole(1)), 14);
  EXPECT_EQ(clustering.score(node_with({1000, 1000, 1000, 1000}), 0, whole(1)), 25 + 12);
  Fleet mixed = node_with({500, 1000, 1000, 1000});
  mixed.take(0, whole(1), device_bit(1));
  EXPECT_EQ(clustering.score(mixed, 0, share(300)), 50 + 17);
}

TEST(Fragmentation, CountsWhatTheMixCannotUse) {
  const Request seen[] = {share(500, 0), whole(1, 0), whole(1, 0), cpu_only(0)};
  const FragmentationMeter meter(TypicalMix::of(seen, 100));
  const Fleet fleet = node_with({400, 1000});
  // A half: 400 are too small for it. One device, twice: 400 each. CPU only: all 1400.
  EXPECT_EQ(meter.fragmented(0, 64000, fleet.left(0)), 400 + 2 * 400 + 1400);
  // Without CPU for anything with devices everything idle counts, four times.
  const Request hungry[] = {whole(1, 65000)};
  EXPECT_EQ(FragmentationMeter(TypicalMix::of(hungry, 100)).fragmented(0, 64000, fleet.left(0)),
            1400);
}

TEST(Fgd, TakesTheDeviceThatFragmentsLeast) {
  const Request seen[] = {share(500), whole(1), whole(1)};
  FgdScorer fgd(TypicalMix::of(seen, 100));
  const Fleet fleet = node_with({1000, 500});
  EXPECT_EQ(fgd.choose_devices(fleet, 0, share(500)), device_bit(1));
  // F falls from (0 + 500 + 500) / 3 to 0: 100 / (1 + e^-(1/3)) = 58.2.
  EXPECT_EQ(fgd.score(fleet, 0, share(500)), 58);
  // Whole devices take the lowest free index.
  EXPECT_EQ(fgd.choose_devices(fleet, 0, whole(1)), device_bit(0));
}

TEST(ExpectedUse, ValuesIdleDevicesByWhatTheMixCanUse) {
  const Request seen[] = {whole(1, 10000)};
  const int64_t supply[] = {4};
  ExpectedUseScorer scorer(TypicalMix::of(seen, 100), supply);
  const Fleet fleet = node_with({1000, 1000, 1000, 400});
  EXPECT_DOUBLE_EQ(scorer.loss(0, 64000, fleet.left(0)), 400);  // CPU for all three
  // CPU for one of three slots: 3000 * (0.8 + 0.2 / 3) are of use.
  EXPECT_DOUBLE_EQ(scorer.loss(0, 10000, fleet.left(0)), 3400 - 2600);
  EXPECT_DOUBLE_EQ(scorer.loss(0, 9999, fleet.left(0)), 3400);
  EXPECT_DOUBLE_EQ(scorer.loss(1, 64000, fleet.left(0)), 400);
}

TEST(ExpectedUse, LeavesScarceModelsToThoseThatNeedThem) {
  Request only_b = whole(1);
  only_b.models = 2;
  const Request seen[] = {whole(1), whole(1), only_b};
  const int64_t supply[] = {8, 2};
  ExpectedUseScorer scorer(TypicalMix::of(seen, 100), supply);
  // A third of demand is confined to a fifth of the supply.
  EXPECT_DOUBLE_EQ(scorer.price(0), 0);
  EXPECT_NEAR(scorer.price(1), 10.0 / 6, 1e-12);
  Fleet fleet;
  fleet.add_node(64000, 0, 2, 1);
  fleet.add_node(64000, 0, 8, 0);
  EXPECT_GT(scorer.score(fleet, 1, whole(1)), scorer.score(fleet, 0, whole(1)));
}

TEST(TypicalMix, TakesTheMostFrequentUpToTheShare) {
  std::vector<Request> seen(90, whole(1));
  seen.insert(seen.end(), 6, whole(2));
  seen.insert(seen.end(), 4, whole(4));
  const TypicalMix mix = TypicalMix::of(seen, 95);
  ASSERT_EQ(mix.entries().size(), 2u);
  EXPECT_EQ(mix.entries()[1].request, whole(2));
  EXPECT_EQ(mix.total(), 96);
}

TEST(PlacementPolicies, AreFoundByName) {
  EXPECT_NE(find_placement_policy("fgd"), nullptr);
  EXPECT_EQ(find_placement_policy("fdg"), nullptr);
}

}  // namespace
}  // namespace berth::core
