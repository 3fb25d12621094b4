// What is remembered of the past: how long work took, what queues borrowed.

#include <cmath>

#include <gtest/gtest.h>

#include "core/model/state.h"

namespace berth::core {
namespace {

State cluster(Duration half_life) {
  State state;
  PolicySet policy;
  policy.usage_half_life = half_life;
  state.apply(policy);
  NodeUpsert node{
      .name = "n0",
      .capacity = {.cpu_milli = 8000, .memory_bytes = 1 << 30, .ephemeral_bytes = 0, .pods = 10}};
  for (int i = 0; i < 4; ++i)
    node.devices.push_back({.id = "gpu-" + std::to_string(i), .resource = "nvidia.com/gpu"});
  state.apply(node);
  QueueUpsert queue{.name = "q"};
  queue.guaranteed.accelerators.push_back({"nvidia.com/gpu", 1000, 0});
  state.apply(queue);
  return state;
}

TaskUpsert running(const std::string& name, int gpus, Time started) {
  TaskUpsert task{.name = name, .queue = "q", .owner = "ada"};
  task.shape.devices = {.resource = "nvidia.com/gpu", .count = static_cast<uint16_t>(gpus)};
  task.node = "n0";
  task.phase = TaskPhase::kRunning;
  task.started = started;
  for (int i = 0; i < gpus; ++i) task.devices.push_back("gpu-" + std::to_string(i));
  return task;
}

Time at(Duration since) {
  return Time{} + Duration::hours(1000) + since;
}

TEST(PastUse, OnlyBorrowedUseCountsAndHalves) {
  State state = cluster(Duration::hours(1));
  state.apply(Tick{at({})});
  state.apply(running("t", 3, at({})));  // one of the three is guaranteed
  state.apply(Tick{at(Duration::seconds(36))});
  const int64_t used = state.queue(state.find_queue("q")).decayed;
  EXPECT_NEAR(static_cast<double>(used), 0.5e6 * 36'000, 0.5e6 * 36'000 * 0.02);
  state.apply(TaskRemove{"t"});
  state.apply(Tick{at(Duration::seconds(36) + Duration::hours(1))});
  EXPECT_NEAR(static_cast<double>(state.queue(state.find_queue("q")).decayed),
              static_cast<double>(used) / 2, static_cast<double>(used) * 0.01);
  state.apply(Tick{at(Duration::hours(1000))});
  EXPECT_EQ(state.queue(state.find_queue("q")).decayed, 0);
}

TEST(PastUse, HowOftenTimeIsToldHardlyMatters) {
  State often = cluster(Duration::hours(1));
  State rarely = cluster(Duration::hours(1));
  for (State* state : {&often, &rarely}) {
    state->apply(Tick{at({})});
    state->apply(running("t", 4, at({})));
  }
  for (int i = 1; i <= 600; ++i) often.apply(Tick{at(Duration::seconds(30 * i))});
  rarely.apply(Tick{at(Duration::hours(5))});
  const auto one = static_cast<double>(often.queue(often.find_queue("q")).decayed);
  const auto other = static_cast<double>(rarely.queue(rarely.find_queue("q")).decayed);
  EXPECT_NEAR(one, other, one * 0.02);
}

TEST(PastDurations, AreLearnedFromWhatCompleted) {
  State state = cluster({});
  Time now = at({});
  state.apply(Tick{now});
  const auto run = [&](Duration takes, bool completed) {
    state.apply(running("t", 1, now));
    now = now + takes;
    state.apply(Tick{now});
    state.apply(TaskRemove{"t", completed});
  };
  for (int i = 0; i < 4; ++i) run(Duration::minutes(10), true);
  run(Duration::minutes(1), false);  // was stopped: says nothing
  state.apply(running("next", 1, now));
  const Task& next = state.task(state.find_task("next"));
  EXPECT_FALSE(state.duration_of(next));
  state.apply(TaskRemove{"next"});
  for (int i = 0; i < 4; ++i) run(Duration::minutes(20), true);
  state.apply(running("next", 1, now));
  const auto belief = state.duration_of(state.task(state.find_task("next")));
  ASSERT_TRUE(belief);
  EXPECT_EQ(belief->samples, 8u);
  EXPECT_NEAR(belief->at_most(0.5).to_seconds(), std::sqrt(600.0 * 1200.0), 1);
  EXPECT_GT(belief->at_most(0.9), belief->at_most(0.5));
  // The longer it has run, the later it will end.
  EXPECT_GT(belief->at_most(0.5, Duration::minutes(30)), Duration::minutes(30));

  State restored;
  for (const Event& event : state.snapshot()) restored.apply(event);
  EXPECT_EQ(restored.hash(), state.hash());
}

TEST(PastDurations, AreBounded) {
  DurationMemory memory;
  for (int i = 0; i < 3000; ++i)
    memory.add("owner-" + std::to_string(i), "q", Duration::seconds(i));
  for (int i = 0; i < 100; ++i) memory.add("busy", "q", Duration::seconds(i));
  EXPECT_EQ(memory.owners().size(), DurationMemory::kOwners);
  EXPECT_TRUE(memory.of("owner-0").empty());
  EXPECT_EQ(memory.of("busy").size(), DurationMemory::kPerOwner);
  EXPECT_EQ(memory.of("busy").back(), 99'000);
}

}  // namespace
}  // namespace berth::core
