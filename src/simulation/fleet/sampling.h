#pragma once

#include <span>
#include <vector>

#include "core/scaling/policies/scaling_policy.h"

namespace berth::simulation {

/// A number that changes at moments, averaged over windows of time.
class TimeAverage {
 public:
  void change(double now_s, double by) {
    area_ += value_ * (now_s - since_s_);
    since_s_ = now_s;
    value_ += by;
  }
  /// The mean since it was last asked.
  double take(double now_s, double window_s) {
    change(now_s, 0);
    const double mean = area_ / window_s;
    area_ = 0;
    return mean;
  }

 private:
  double value_ = 0, since_s_ = 0, area_ = 0;
};

/// The latest samples, as many as policies may see, in one piece.
class SampleHistory {
 public:
  void push(const core::ServiceSample& sample) {
    samples_.push_back(sample);
    if (samples_.size() < 4 * core::kSampleMemory) return;
    samples_.erase(samples_.begin(), samples_.end() - static_cast<long>(core::kSampleMemory));
  }
  std::span<const core::ServiceSample> latest() const {
    const std::span<const core::ServiceSample> all = samples_;
    return all.size() <= core::kSampleMemory ? all : all.last(core::kSampleMemory);
  }

 private:
  std::vector<core::ServiceSample> samples_;
};

}  // namespace berth::simulation
