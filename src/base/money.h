#pragma once

#include <compare>
#include <cstdint>

namespace berth {

/// Money in millionths of a currency unit. Which currency is said once, in the configuration.
struct Money {
  int64_t micro = 0;

  constexpr auto operator<=>(const Money&) const = default;
  constexpr Money operator+(Money other) const { return {micro + other.micro}; }
  constexpr Money operator-(Money other) const { return {micro - other.micro}; }
};

}  // namespace berth
