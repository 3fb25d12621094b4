#pragma once

#include <cstdint>

#include "base/money.h"
#include "base/time.h"

namespace berth::core {

__extension__ using Wide = __int128;

/// Money without rounding: millionths of a unit an hour, times thousandths of a resource, times
/// nanoseconds. Sums of it are exact whatever their order, so parts add up to their whole; rounding
/// happens once, where it is shown.
class ExactCost {
 public:
  constexpr ExactCost() = default;
  static constexpr ExactCost of(Money per_hour, int64_t milli_units, Duration time) {
    return ExactCost(static_cast<Wide>(per_hour.micro) * milli_units * time.ns);
  }

  constexpr ExactCost operator+(ExactCost other) const { return ExactCost(value_ + other.value_); }
  constexpr ExactCost operator-(ExactCost other) const { return ExactCost(value_ - other.value_); }
  constexpr ExactCost& operator+=(ExactCost other) { return *this = *this + other; }
  constexpr bool operator==(const ExactCost&) const = default;
  constexpr bool operator<(ExactCost other) const { return value_ < other.value_; }

  /// Whole millionths, rounded down.
  constexpr Money floor() const { return {static_cast<int64_t>(value_ / kPerMicro)}; }

 private:
  static constexpr Wide kPerMicro = static_cast<Wide>(1000) * 3600 * 1'000'000'000;

  constexpr explicit ExactCost(Wide value) : value_(value) {}

  Wide value_ = 0;
};

}  // namespace berth::core
