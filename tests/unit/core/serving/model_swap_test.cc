#include "core/serving/model_swap.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/rng.h"

namespace berth::core {
namespace {

using State = SwapModel::State;

Time at(int64_t s) {
  return Time{} + Duration::seconds(s);
}
constexpr SwapOptions kDevice{.device_bytes = 100};

SwapModel loaded(int64_t bytes, int64_t since_s = 0) {
  return {.state = State::kLoaded,
          .memory_bytes = bytes,
          .load_time = Duration::seconds(5),
          .loaded_since = at(since_s),
          .oldest_waiting = {}};
}
SwapModel wanted(int64_t bytes, int64_t waiting = 1, int64_t oldest_s = 100) {
  return {.memory_bytes = bytes,
          .load_time = Duration::seconds(5),
          .waiting = waiting,
          .oldest_waiting = at(oldest_s)};
}

TEST(ModelSwap, LoadsBesideWhatIsThereWhereItFits) {
  const std::vector<SwapModel> models{loaded(60), wanted(40)};
  const SwapPlan plan = plan_swap(models, kDevice, at(100));
  EXPECT_EQ(plan.reason, SwapReason::kFits);
  EXPECT_EQ(plan.load, 1u);
  EXPECT_TRUE(plan.evict.empty());
}

TEST(ModelSwap, EvictsAnIdleModelOnceItHasStayedForItsLoadTime) {
  std::vector<SwapModel> models{loaded(60, 97), wanted(60)};
  SwapPlan plan = plan_swap(models, kDevice, at(100));
  EXPECT_EQ(plan.reason, SwapReason::kProtected);
  EXPECT_EQ(plan.next_try, at(102));
  plan = plan_swap(models, kDevice, at(102));
  EXPECT_EQ(plan.reason, SwapReason::kEvicts);
  EXPECT_EQ(plan.evict, std::vector<size_t>{0});
  EXPECT_EQ(plan.load, 1u);
}

TEST(ModelSwap, ABusyModelStaysForFourLoadTimesAndYieldsToTwiceItsDemand) {
  std::vector<SwapModel> models{loaded(60, 85), wanted(60, 5)};
  models[0].in_flight = 2;
  EXPECT_EQ(plan_swap(models, kDevice, at(100)).next_try, at(105));
  EXPECT_EQ(plan_swap(models, kDevice, at(105)).reason, SwapReason::kEvicts);
  models[0].in_flight = 3;
  const SwapPlan plan = plan_swap(models, kDevice, at(105));
  EXPECT_EQ(plan.reason, SwapReason::kProtected);
  EXPECT_EQ(plan.next_try, at(130)) << "then it is starved";
  EXPECT_EQ(plan_swap(models, kDevice, at(130)).reason, SwapReason::kEvicts);
}

TEST(ModelSwap, PinnedAndBusyOnesOfHigherPriorityStay) {
  std::vector<SwapModel> models{loaded(60), wanted(50, 100, 0)};
  models[0].priority = 1;
  models[0].in_flight = 1;
  EXPECT_EQ(plan_swap(models, kDevice, at(1000)).reason, SwapReason::kPinned);
  models[0].in_flight = 0;
  EXPECT_EQ(plan_swap(models, kDevice, at(1000)).reason, SwapReason::kEvicts);
  models[0].pinned = true;
  EXPECT_EQ(plan_swap(models, kDevice, at(1000)).reason, SwapReason::kTooLarge);
}

TEST(ModelSwap, EvictsNoMoreThanItMust) {
  std::vector<SwapModel> models{loaded(20), loaded(30), loaded(50), wanted(50)};
  models[0].last_used = at(1);
  models[1].last_used = at(2);
  models[2].last_used = at(3);
  const SwapPlan plan = plan_swap(models, kDevice, at(1000));
  EXPECT_EQ(plan.evict, (std::vector<size_t>{0, 1}));
  models[3].memory_bytes = 60;
  EXPECT_EQ(plan_swap(models, kDevice, at(1000)).evict, (std::vector<size_t>{0, 2}))
      << "the second is not needed beside the third";
}

TEST(ModelSwap, OneAtATime) {
  std::vector<SwapModel> models{loaded(20), wanted(20), wanted(20)};
  models[0].state = State::kLoading;
  EXPECT_EQ(plan_swap(models, kDevice, at(100)).reason, SwapReason::kLoadUnderWay);
}

/// Random demand on one device for an hour: what the planner promises, whatever comes.
RC_GTEST_PROP(ModelSwap, NeverOverfillsNeverThrashesAndNobodyOfOnePriorityStarves, ()) {
  const uint64_t seed = *rc::gen::inRange<uint64_t>(0, 1u << 30);
  Rng rng(seed);
  std::vector<SwapModel> models;
  for (uint64_t i = 0; i < 4; ++i)
    models.push_back({.memory_bytes = static_cast<int64_t>(30 + rng.below(60)),
                      .load_time = Duration::seconds(static_cast<int64_t>(1 + rng.below(8)))});
  std::vector<Time> ready(models.size());
  for (int64_t second = 0; second < 3600; ++second) {
    const Time now = at(second);
    int64_t used = 0;
    for (size_t i = 0; i < models.size(); ++i) {
      SwapModel& model = models[i];
      if (rng.below(5) == 0) {
        if (model.waiting == 0) model.oldest_waiting = now;
        model.waiting += static_cast<int64_t>(1 + rng.below(3));
      }
      if (model.state == State::kLoading && now >= ready[i]) {
        model.state = State::kLoaded;
        model.loaded_since = now;
      }
      if (model.state == State::kLoaded) {
        model.in_flight = std::min<int64_t>(model.waiting, 4);
        model.waiting -= model.in_flight;
        model.oldest_waiting = now;
        model.last_used = now;
      }
      RC_ASSERT(model.waiting == 0 || now - model.oldest_waiting <= Duration::seconds(30 + 4 * 60));
      used += model.state == State::kUnloaded ? 0 : model.memory_bytes;
    }
    RC_ASSERT(used <= kDevice.device_bytes);
    const SwapPlan plan = plan_swap(models, kDevice, now);
    for (const size_t victim : plan.evict) {
      RC_ASSERT(now - models[victim].loaded_since >=
                std::max(kDevice.min_residence, models[victim].load_time));
      models[victim].state = State::kUnloaded;
      models[victim].waiting += std::exchange(models[victim].in_flight, 0);
      models[victim].oldest_waiting = now;
    }
    if (plan.load) {
      models[*plan.load].state = State::kLoading;
      ready[*plan.load] = now + models[*plan.load].load_time;
    }
  }
}

}  // namespace
}  // namespace berth::core
