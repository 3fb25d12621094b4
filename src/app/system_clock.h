#pragma once

#include <chrono>

#include "base/time.h"

namespace berth::app {

/// The machine's wall clock.
class SystemClock final : public Clock {
 public:
  Time now() const override {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count()};
  }
};

}  // namespace berth::app
