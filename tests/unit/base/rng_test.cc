#include "base/rng.h"

#include <cmath>

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(RngTest, TheSequenceIsTheSameOnEveryMachine) {
  Rng rng(42);
  // Of the authors' reference code, seeded by splitmix64 from 42.
  EXPECT_EQ(rng(), 1546998764402558742u);
  EXPECT_EQ(rng(), 6990951692964543102u);
  EXPECT_EQ(rng(), 12544586762248559009u);
}

TEST(RngTest, EqualSeedsGiveEqualSequences) {
  Rng a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const uint64_t draw = a();
    EXPECT_EQ(draw, b());
    differs |= draw != c();
  }
  EXPECT_TRUE(differs);
}

TEST(RngTest, BelowIsBelowAndReachesAll) {
  Rng rng(1);
  int seen[7] = {};
  for (int i = 0; i < 7000; ++i) {
    const uint64_t draw = rng.below(7);
    ASSERT_LT(draw, 7u);
    ++seen[draw];
  }
  for (int count : seen) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(rng.below(1), 0u);
}

struct Moments {
  double mean, variance;
};

template <class Draw>
Moments moments(Draw draw) {
  constexpr int kCount = 200'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = draw();
    sum += x;
    squares += x * x;
  }
  const double mean = sum / kCount;
  return {mean, squares / kCount - mean * mean};
}

TEST(RngTest, DistributionsHaveTheirMeanAndVariance) {
  Rng rng(3);
  const auto expect = [](Moments m, double mean, double variance) {
    EXPECT_NEAR(m.mean, mean, 0.02 * std::max(1.0, mean));
    EXPECT_NEAR(m.variance, variance, 0.04 * std::max(1.0, variance));
  };
  expect(moments([&] { return rng.uniform(); }), 0.5, 1.0 / 12);
  expect(moments([&] { return rng.exponential(3.0); }), 3.0, 9.0);
  expect(moments([&] { return rng.normal(); }), 0.0, 1.0);
  expect(moments([&] { return rng.gamma(2.0, 1.5); }), 3.0, 4.5);
  expect(moments([&] { return rng.gamma(0.5, 2.0); }), 1.0, 2.0);
}

}  // namespace
}  // namespace berth
