#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "base/time.h"

namespace berth::simulation {

/// How far a job is. It gets on while as many of its members run as it needs; what it did since its
/// last checkpoint is lost when one too many of them stops.
class RunningJob {
 public:
  RunningJob(Duration runtime, Duration checkpoint, size_t members, size_t needed)
      : runtime_(runtime), checkpoint_(checkpoint), needed_(needed), bound_(members, false) {}

  bool whole() const { return since_.has_value(); }
  /// When it ends if nothing happens; it runs.
  Time end() const { return *since_ + (runtime_ - saved_); }

  /// True where it becomes whole by this.
  bool bind(size_t member, Time now) {
    bound_[member] = true;
    if (since_ || !enough()) return false;
    since_ = now;
    return true;
  }

  /// Returns what was lost.
  Duration stop(size_t member, Time now) {
    bound_[member] = false;
    if (!since_ || enough()) return {};
    const Duration ran = now - *since_;
    const Duration kept = checkpoint_.ns > 0 ? checkpoint_ * (ran.ns / checkpoint_.ns) : Duration{};
    saved_ = saved_ + kept;
    since_.reset();
    return ran - kept;
  }

 private:
  bool enough() const {
    return static_cast<size_t>(std::count(bound_.begin(), bound_.end(), true)) >= needed_;
  }

  Duration runtime_;
  Duration checkpoint_;
  size_t needed_;
  Duration saved_;
  std::optional<Time> since_;
  std::vector<bool> bound_;
};

}  // namespace berth::simulation
