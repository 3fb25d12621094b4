#include "core/scaling/advice/right_size.h"

#include <gtest/gtest.h>

namespace berth::core {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

/// A sample each ten seconds, with 100 MiB unless told.
std::vector<SizeSample> used(const std::vector<int64_t>& cpu_milli, int64_t memory_mib = 100) {
  std::vector<SizeSample> samples;
  Time at{};
  for (const int64_t milli : cpu_milli)
    samples.push_back(
        {at = at + Duration::seconds(10), Duration::seconds(10), milli, memory_mib * kMiB});
  return samples;
}

constexpr ContainerSize kFitting{460, 115 * kMiB};  // 400 m and 100 MiB with headroom of 15%

TEST(RightSize, WhatFitsStaysAsItIs) {
  const RightSize size = right_size(used({400, 400, 400, 390}), kFitting);
  EXPECT_EQ(size.cpu.verdict, SizeVerdict::kFits);
  EXPECT_EQ(size.memory.verdict, SizeVerdict::kFits);
  EXPECT_EQ(size.size(), kFitting);
  EXPECT_FALSE(size.idle);
}

TEST(RightSize, TooLargeAndTooSmallAreUseAndHeadroom) {
  const RightSize size = right_size(used({400, 400, 400}), {1000, 64 * kMiB});
  EXPECT_EQ(size.cpu.verdict, SizeVerdict::kTooLarge);
  EXPECT_EQ(size.cpu.used, 400);
  EXPECT_EQ(size.memory.verdict, SizeVerdict::kTooSmall);
  EXPECT_EQ(size.size(), kFitting);
}

TEST(RightSize, CpuGoesByThePercentileAndMemoryByThePeak) {
  std::vector<SizeSample> samples = used(std::vector<int64_t>(40, 100));
  samples[3].cpu_milli = 2000;
  samples[7].memory_bytes = 900 * kMiB;
  const RightSize size = right_size(samples, {4000, 4096 * kMiB});
  EXPECT_EQ(size.cpu.used, 100) << "2.5% of the samples are above";
  EXPECT_EQ(size.memory.used, 900 * kMiB);
  EXPECT_EQ(right_size(samples, {}, {.percentile = 1}).cpu.used, 2000);
}

TEST(RightSize, TheBusiestReplicaCounts) {
  std::vector<SizeSample> samples = used({100, 100, 100});
  const auto busy = used({800, 800, 800}, 300);
  samples.insert(samples.end(), busy.begin(), busy.end());
  const RightSize size = right_size(samples, {2000, 1024 * kMiB});
  EXPECT_EQ(size.size(), (ContainerSize{920, 345 * kMiB}));
  EXPECT_EQ(size.measured, Duration::seconds(30)) << "of each";
}

TEST(RightSize, TooLittleJudgesNothing) {
  const ContainerSize large{8000, 8192 * kMiB};
  for (const auto& samples : {used({}), used({100, 100}), used({100, 100, 100})}) {
    const RightSize size = right_size(samples, large, {.least_time = Duration::seconds(31)});
    EXPECT_EQ(size.cpu.verdict, SizeVerdict::kUnknown);
    EXPECT_EQ(size.memory.verdict, SizeVerdict::kUnknown);
    EXPECT_EQ(size.size(), large);
    EXPECT_FALSE(size.idle);
  }
  EXPECT_EQ(right_size(used({100, 100}), large, {.least_time = {}}).cpu.verdict,
            SizeVerdict::kUnknown)
      << "two samples";
}

TEST(RightSize, IdleIsWhatNeverUsedCpu) {
  const RightSize size = right_size(used({0, 1, 5}, 1), {1000, 1024 * kMiB});
  EXPECT_TRUE(size.idle);
  EXPECT_EQ(size.size(), (ContainerSize{25, 16 * kMiB})) << "the least there is";
  EXPECT_FALSE(right_size(used({0, 6, 0}), {1000, 1024 * kMiB}).idle);
}

TEST(RightSize, TheLeastIsNotForced) {
  const ContainerSize tiny{10, 4 * kMiB};
  const RightSize size = right_size(used({7, 7, 7}, 2), tiny);
  EXPECT_EQ(size.cpu.verdict, SizeVerdict::kFits);
  EXPECT_EQ(size.memory.verdict, SizeVerdict::kFits);
  EXPECT_EQ(size.size(), tiny);
}

TEST(RightSize, WithoutARequestOneIsAdvised) {
  const RightSize size = right_size(used({400, 400, 400}), {});
  EXPECT_EQ(size.cpu.verdict, SizeVerdict::kNoRequest);
  EXPECT_EQ(size.size(), kFitting);
}

TEST(RightSize, WhatIsAdvisedFitsTheSameUse) {
  for (int64_t milli = 1; milli < 3000; milli += 7) {
    const auto samples = used({milli, milli / 2, milli}, milli);
    const RightSize again =
        right_size(samples, right_size(samples, {100'000, 100'000 * kMiB}).size());
    EXPECT_EQ(again.cpu.verdict, SizeVerdict::kFits) << milli;
    EXPECT_EQ(again.memory.verdict, SizeVerdict::kFits) << milli;
  }
}

TEST(RightSize, LimitsKeepTheirRatio) {
  EXPECT_EQ(scaled_limit(2000, 1000, 400), 800);
  EXPECT_EQ(scaled_limit(1000, 1000, 400), 400) << "what is guaranteed stays so";
  EXPECT_EQ(scaled_limit(1000, 3, 1), 334);
  EXPECT_EQ(scaled_limit(0, 1000, 400), 0) << "no limit";
  EXPECT_EQ(scaled_limit(300, 0, 400), 400);
  EXPECT_EQ(scaled_limit(int64_t{1} << 41, int64_t{1} << 40, int64_t{1} << 40), int64_t{1} << 41);
}

TEST(RightSize, AnHourCostsCoresAndGibibytes) {
  EXPECT_EQ(cost_per_hour({1500, 512 * kMiB}, {{40'000}, {6'000}}).micro, 60'000 + 3'000);
}

}  // namespace
}  // namespace berth::core
