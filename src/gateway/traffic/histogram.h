#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace berth::gateway {

/// Seconds, in buckets for Prometheus from a tenth of a millisecond to ten minutes.
class Histogram {
 public:
  static constexpr std::array kBounds = {0.0001, 0.0003, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                         0.05,   0.1,    0.25,  0.5,    1.0,   2.5,  5.0,
                                         10.0,   30.0,   60.0,  120.0,  300.0, 600.0};

  void observe(double seconds) {
    ++counts_[static_cast<size_t>(std::ranges::lower_bound(kBounds, seconds) - kBounds.begin())];
    sum_ += seconds;
  }

  /// Of each bucket alone; the last is what is beyond all bounds.
  const std::array<uint64_t, kBounds.size() + 1>& counts() const { return counts_; }
  double sum() const { return sum_; }

 private:
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

}  // namespace berth::gateway
