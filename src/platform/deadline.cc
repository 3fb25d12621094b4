#include "platform/deadline.h"

#include <algorithm>
#include <chrono>

namespace berth::platform {
namespace {

int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Deadline::Deadline(Duration from_now) : at_ns_(steady_ns() + from_now.ns) {}

bool Deadline::passed() const {
  return steady_ns() >= at_ns_;
}

int Deadline::milliseconds_left() const {
  const int64_t left = (at_ns_ - steady_ns() + 999'999) / 1'000'000;
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

Stopwatch::Stopwatch() : since_ns_(steady_ns()) {}

Duration Stopwatch::elapsed() const {
  return Duration{steady_ns() - since_ns_};
}

}  // namespace berth::platform
