#include "core/placement/candidate_index.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "core/placement/policies/policy.h"

namespace berth::core {
namespace {

struct Held {
  uint32_t node;
  Request request;
  DeviceSet devices;
};

Request random_request(Rng& rng) {
  static constexpr int16_t kShares[] = {100, 250, 333, 500, 750};
  Request request{static_cast<int64_t>(1000 * rng.below(9)), static_cast<int64_t>(rng.below(5))};
  switch (rng.below(4)) {
    case 0:
      break;
    case 1:
      request.devices = 1, request.device_milli = kShares[rng.below(5)];
      break;
    default:
      request.devices = static_cast<int16_t>(1 << rng.below(4)), request.device_milli = 1000;
  }
  if (rng.below(3) == 0) request.models = 1 + rng.below(7);
  return request;
}

/// Over random arrivals and departures the index chooses what a scan of all nodes chooses.
TEST(CandidateIndex, EqualsAScanOfAllNodes) {
  for (const PlacementPolicy& policy : placement_policies()) {
    if (policy.make_scorer == nullptr) continue;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      SCOPED_TRACE(std::string(policy.name) + ", seed " + std::to_string(seed));
      Rng rng(seed);
      Fleet fleet;
      const uint64_t nodes = 1 + rng.below(40);
      for (uint64_t n = 0; n < nodes; ++n) {
        fleet.add_node(static_cast<int64_t>(8000 * (1 + rng.below(8))), 64, 1 << rng.below(4),
                       static_cast<int>(rng.below(3)));
      }
      std::vector<Request> shapes;
      for (int i = 0; i < 12; ++i) shapes.push_back(random_request(rng));
      const TypicalMix mix = TypicalMix::of(shapes, 95);
      const std::vector<int64_t> supply(3, 40);
      const auto scorer = policy.make_scorer({mix, mix, supply});
      CandidateIndex index(fleet, *scorer);
      std::vector<Held> held;
      for (int step = 0; step < 600; ++step) {
        if (!held.empty() && rng.below(3) == 0) {
          const size_t i = rng.below(held.size());
          fleet.give_back(held[i].node, held[i].request, held[i].devices);
          held[i] = held.back();
          held.pop_back();
          continue;
        }
        const Request& request = shapes[rng.below(shapes.size())];
        const auto best = index.best(request);
        ASSERT_EQ(best, best_by_scan(fleet, *scorer, request));
        if (!best) continue;
        const DeviceSet devices = scorer->choose_devices(fleet, *best, request);
        ASSERT_EQ(std::popcount(devices), request.devices);
        for_each_device(devices,
                        [&](size_t d) { ASSERT_GE(fleet.left(*best)[d], request.device_milli); });
        fleet.take(*best, request, devices);
        held.push_back({*best, request, devices});
      }
    }
  }
}

TEST(CandidateIndex, CatchesUpAfterMoreChangesThanAreKept) {
  Fleet fleet;
  for (int n = 0; n < 4; ++n) fleet.add_node(64000, 0, 8, 0);
  const auto scorer =
      find_placement_policy("best-fit")->make_scorer({TypicalMix(), TypicalMix(), {}});
  CandidateIndex index(fleet, *scorer);
  const Request one{1000, 0, 1, kWholeDevice};
  EXPECT_EQ(index.best(one), 0u);
  for (int i = 0; i < 1000; ++i) {
    fleet.take(2, one, device_bit(0));
    if (i < 999) fleet.give_back(2, one, device_bit(0));
  }
  EXPECT_GT(fleet.oldest_change(), 4u);
  EXPECT_EQ(index.best(one), 2u);
}

TEST(ScoreTree, FindsTheFirstOfTheBest) {
  ScoreTree tree(5);
  EXPECT_EQ(tree.best_score(), Scorer::kUnfit);
  tree.set(4, 7);
  tree.set(2, 7);
  tree.set(3, 6);
  EXPECT_EQ(tree.first_best(), 2u);
  tree.set(2, Scorer::kUnfit);
  EXPECT_EQ(tree.first_best(), 4u);
}

}  // namespace
}  // namespace berth::core
