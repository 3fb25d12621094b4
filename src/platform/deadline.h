#pragma once

#include "base/time.h"

namespace berth::platform {

/// An instant some time from now, on a clock that nobody sets.
class Deadline {
 public:
  explicit Deadline(Duration from_now);

  bool passed() const;
  /// For poll(2): rounded up, 0 once it has passed, an hour at most.
  int milliseconds_left() const;

 private:
  int64_t at_ns_ = 0;
};

/// How long something took, on the same clock. Starts when it is made.
class Stopwatch {
 public:
  Stopwatch();
  Duration elapsed() const;

 private:
  int64_t since_ns_ = 0;
};

}  // namespace berth::platform
