#include "core/scaling/forecasts/last_value.h"

#include <algorithm>

namespace berth::core {

void Smoothed::observe(double value) {
  // At first the plain mean of what was seen.
  ++seen_;
  level_ += std::max(share_, 1.0 / seen_) * (value - level_);
}

}  // namespace berth::core
