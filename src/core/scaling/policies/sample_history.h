#pragma once

#include <span>
#include <vector>

#include "core/scaling/policies/scaling_policy.h"

namespace berth::core {

/// The latest samples, as many as policies may see, in one piece.
class SampleHistory {
 public:
  void push(const ServiceSample& sample) {
    samples_.push_back(sample);
    if (samples_.size() < 4 * kSampleMemory) return;
    samples_.erase(samples_.begin(), samples_.end() - static_cast<long>(kSampleMemory));
  }
  std::span<const ServiceSample> latest() const {
    const std::span<const ServiceSample> all = samples_;
    return all.size() <= kSampleMemory ? all : all.last(kSampleMemory);
  }

 private:
  std::vector<ServiceSample> samples_;
};

}  // namespace berth::core
