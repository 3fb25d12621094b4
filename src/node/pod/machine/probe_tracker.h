#pragma once

#include <optional>

#include "base/time.h"
#include "node/pod/pod_spec.h"

namespace berth::node {

/// Counts the answers to one probe of one run of a container. Plain data with rules; the machine
/// asks it when to probe and what the answers mean.
class ProbeTracker {
 public:
  enum class Verdict { kUnknown, kSuccess, kFailure };

  ProbeTracker(const Probe& probe, Time container_started)
      : probe_(probe), next_(container_started + probe.initial_delay) {}

  /// When to probe next; nothing while an answer is awaited.
  std::optional<Time> next() const { return in_flight_ ? std::nullopt : std::optional(next_); }
  void asked() { in_flight_ = true; }

  /// True when the verdict changed, or was reached again after a failure (each time that the
  /// threshold is met).
  bool answer(bool success, Time now) {
    in_flight_ = false;
    next_ = std::max(next_ + probe_.period, now);
    (success ? successes_ : failures_) += 1;
    (success ? failures_ : successes_) = 0;
    const Verdict before = verdict_;
    if (successes_ >= probe_.success_threshold) verdict_ = Verdict::kSuccess;
    if (failures_ >= probe_.failure_threshold) verdict_ = Verdict::kFailure;
    return verdict_ != before;
  }
  Verdict verdict() const { return verdict_; }
  const Probe& probe() const { return probe_; }

 private:
  Probe probe_;
  Time next_;
  bool in_flight_ = false;
  int successes_ = 0;
  int failures_ = 0;
  Verdict verdict_ = Verdict::kUnknown;
};

}  // namespace berth::node
