#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace berth {

/// A Kubernetes resource quantity, such as `500m`, `2Gi` or `1e3`, kept exactly in thousandths.
/// Finer fractions round up, as Kubernetes does at that scale; values beyond +-9.2e15 saturate.
/// Source: k8s.io/apimachinery/pkg/api/resource.
class Quantity {
 public:
  enum class Format { kDecimalSi, kBinarySi, kDecimalExponent };

  constexpr Quantity() = default;
  static constexpr Quantity from_milli(int64_t milli, Format format = Format::kDecimalSi) {
    return Quantity(milli, format);
  }
  /// Saturates beyond +-9.2e15.
  static Quantity from_units(int64_t units, Format format = Format::kDecimalSi);
  static Quantity from_bytes(int64_t bytes) { return from_units(bytes, Format::kBinarySi); }
  static Result<Quantity> parse(std::string_view text);

  constexpr int64_t milli() const { return milli_; }
  /// Whole units, rounded up (a request of 1500m counts as 2).
  int64_t units() const;
  constexpr Format format() const { return format_; }
  /// The canonical spelling: the largest suffix that leaves no fraction, in the format it was
  /// given.
  std::string to_string() const;

  constexpr bool operator==(const Quantity& other) const { return milli_ == other.milli_; }
  constexpr auto operator<=>(const Quantity& other) const { return milli_ <=> other.milli_; }

 private:
  constexpr Quantity(int64_t milli, Format format) : milli_(milli), format_(format) {}

  int64_t milli_ = 0;
  Format format_ = Format::kDecimalSi;
};

}  // namespace berth
