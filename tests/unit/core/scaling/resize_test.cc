#include "core/scaling/advice/resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace berth::core {
namespace {

using testing::HasSubstr;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr ResizeRule kRule{.window = Duration::minutes(1)};

/// Samples of ten seconds each.
std::vector<SizeSample> used(size_t count, int64_t cpu_milli, int64_t memory_mib = 50) {
  std::vector<SizeSample> samples;
  for (size_t i = 0; i < count; ++i)
    samples.push_back({Time{} + Duration::seconds(10) * static_cast<int64_t>(i + 1),
                       Duration::seconds(10), cpu_milli, memory_mib * kMiB});
  return samples;
}

/// 500m and 100 MiB, both guaranteed, in 100m to 2 and 32 MiB to 1 GiB, on a node with much room.
ResizeInput input(std::vector<SizeSample> samples) {
  return {.samples = std::move(samples),
          .request = {500, 100 * kMiB},
          .limit = {500, 100 * kMiB},
          .cpu = {100, 2000},
          .memory = {32 * kMiB, 1024 * kMiB},
          .room = {8000, 8192 * kMiB}};
}

TEST(Resize, WhatFitsStays) {
  const ResizeDecision decision = decide_resize(input(used(9, 435, 87)), kRule);
  EXPECT_EQ(decision.cpu.move, Resize::kStays);
  EXPECT_EQ(decision.memory.move, Resize::kStays);
  EXPECT_EQ(decision.size(), (ContainerSize{500, 100 * kMiB}));
}

TEST(Resize, GrowsSoonAndShrinksAfterAWholeWindow) {
  EXPECT_EQ(decide_resize(input(used(2, 470)), kRule).cpu.move, Resize::kStays) << "20 s";
  const AmountDecision grown = decide_resize(input(used(3, 470)), kRule).cpu;
  EXPECT_EQ(grown.move, Resize::kStays) << "541m is within a tenth of 500m";
  EXPECT_EQ(decide_resize(input(used(5, 100)), kRule).cpu.move, Resize::kStays) << "50 s";
  const AmountDecision less = decide_resize(input(used(6, 200)), kRule).cpu;
  EXPECT_EQ(less.move, Resize::kShrinks);
  EXPECT_EQ(less.amount, 230);
  EXPECT_EQ(less.reason, "used 200m of 500m at most in 1m0s");
}

TEST(Resize, WithoutALimitUseTellsTheNeed) {
  ResizeInput free = input(used(3, 950));
  free.limit = {};
  const AmountDecision decision = decide_resize(free, kRule).cpu;
  EXPECT_EQ(decision.move, Resize::kGrows);
  EXPECT_EQ(decision.amount, 1093);
  EXPECT_EQ(decision.reason, "used 950m of 500m");
}

TEST(Resize, WhatUsesItsLimitUpGetsTwiceAsMuch) {
  const ResizeDecision decision = decide_resize(input(used(3, 490, 97)), kRule);
  EXPECT_EQ(decision.cpu.amount, 1000);
  EXPECT_EQ(decision.cpu.reason, "used 490m of a limit of 500m");
  EXPECT_EQ(decision.memory.amount, 200 * kMiB);
}

TEST(Resize, OnlyTheLatestCountsForGrowth) {
  std::vector<SizeSample> samples = used(12, 300);
  for (size_t i = 8; i < 12; ++i) samples[i].cpu_milli = 500;
  EXPECT_EQ(decide_resize(input(samples), kRule).cpu.move, Resize::kGrows);
  for (size_t i = 8; i < 12; ++i) std::swap(samples[i].cpu_milli, samples[i - 8].cpu_milli);
  EXPECT_EQ(decide_resize(input(samples), kRule).cpu.move, Resize::kShrinks)
      << "but what is out of the window does not";
}

TEST(Resize, StaysWithinItsRange) {
  ResizeInput small = input(used(3, 500));
  small.cpu.most = 700;
  const ResizeDecision most = decide_resize(small, kRule);
  EXPECT_EQ(most.cpu.amount, 700);
  EXPECT_THAT(most.cpu.reason, HasSubstr("700m is the most it may have"));
  EXPECT_EQ(decide_resize(input(used(7, 1, 1)), kRule).size(), (ContainerSize{100, 32 * kMiB}));
  small.cpu.most = 0;
  EXPECT_EQ(decide_resize(small, kRule).cpu.move, Resize::kStays) << "no range, no change";
}

TEST(Resize, AtTheEndOfItsRangeItSaysSo) {
  ResizeInput full = input(used(3, 500));
  full.cpu.most = 500;
  const AmountDecision decision = decide_resize(full, kRule).cpu;
  EXPECT_EQ(decision.move, Resize::kCannotGrow);
  EXPECT_EQ(decision.amount, 500);
  EXPECT_EQ(decision.reason, "used 500m of a limit of 500m; 500m is the most it may have");
}

TEST(Resize, TakesTheRoomThatThereIs) {
  ResizeInput crowded = input(used(3, 500));
  crowded.room.cpu_milli = 200;
  EXPECT_EQ(decide_resize(crowded, kRule).cpu.amount, 700);
  crowded.room.cpu_milli = 20;
  const AmountDecision decision = decide_resize(crowded, kRule).cpu;
  EXPECT_EQ(decision.move, Resize::kCannotGrow);
  EXPECT_EQ(decision.reason, "used 500m of a limit of 500m; where it runs there is room for 520m");
  crowded.room.cpu_milli = -100;
  EXPECT_EQ(decide_resize(crowded, kRule).cpu.amount, 500) << "a full node takes nothing away";
}

TEST(Resize, AKillForWantOfMemoryDoublesItWithoutWaiting) {
  ResizeInput killed = input({});
  killed.killed_bytes = 100 * kMiB;
  const AmountDecision decision = decide_resize(killed, kRule).memory;
  EXPECT_EQ(decision.amount, 200 * kMiB);
  EXPECT_EQ(decision.reason, "killed for want of memory with 100Mi");
  killed.request.memory_bytes = killed.limit.memory_bytes = 200 * kMiB;
  EXPECT_EQ(decide_resize(killed, kRule).memory.move, Resize::kStays) << "once";
  killed.samples = used(7, 200, 1);
  EXPECT_EQ(decide_resize(killed, kRule).memory.amount, 115 * kMiB) << "never that small again";
}

TEST(Resize, MemoryNeverShrinksBelowItsPeak) {
  std::vector<SizeSample> samples = used(40, 200, 10);
  samples[38].memory_bytes = 70 * kMiB;
  EXPECT_EQ(decide_resize(input(samples), kRule).memory.amount, 81 * kMiB);
  ResizeInput large = input(used(7, 200, 70));
  large.memory.most = 60 * kMiB;
  EXPECT_EQ(decide_resize(large, kRule).memory.move, Resize::kStays)
      << "nor is a size set that is out of its range";
}

TEST(Resize, WhatHasNoRequestIsLeftSo) {
  ResizeInput none = input(used(7, 900));
  none.request = none.limit = {};
  EXPECT_EQ(decide_resize(none, kRule).size(), ContainerSize{});
}

TEST(Resize, WhateverIsUsedTheSizeSettlesAndKeepsItsRules) {
  Rng rng(7);
  for (int round = 0; round < 300; ++round) {
    const auto cpu = static_cast<int64_t>(rng.below(3000)),
               memory = static_cast<int64_t>(rng.below(1500));
    ResizeInput state = input({});
    const int64_t cpu_room = static_cast<int64_t>(rng.below(1000));
    int changes = 0;
    for (int window = 0; window < 30; ++window) {
      state.room.cpu_milli = 500 + cpu_room - state.request.cpu_milli;
      // Nothing uses more than its limit.
      state.samples = used(7, std::min(cpu, state.limit.cpu_milli),
                           std::min(memory, state.limit.memory_bytes / kMiB));
      const ResizeDecision decision = decide_resize(state, kRule);
      const ContainerSize size = decision.size();
      ASSERT_LE(size.cpu_milli, std::min<int64_t>(2000, 500 + cpu_room));
      ASSERT_GE(size.cpu_milli, 100);
      ASSERT_GE(size.memory_bytes, 32 * kMiB);
      ASSERT_LE(size.memory_bytes, 1024 * kMiB);
      if (decision.memory.move == Resize::kShrinks) {
        ASSERT_GE(size.memory_bytes, state.samples.front().memory_bytes * 115 / 100);
      }
      changes += size != state.request ? 1 : 0;
      if (window >= 10) {
        ASSERT_EQ(size, state.request) << cpu << "m, " << memory << " MiB";
      }
      state.request = state.limit = size;
    }
    EXPECT_LE(changes, 8) << cpu << "m, " << memory << " MiB";
  }
}

}  // namespace
}  // namespace berth::core
