#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::controllers {

/// On a Deployment and its ReplicaSets, as `GrowthValues::text` has it.
inline constexpr std::string_view kGrowthValues = "berth.dev/growth-values";
/// On a pod beyond the minimum: its own value. Placement reads it (docs/scheduling.md).
inline constexpr std::string_view kGrowthValue = "berth.dev/growth-value";

/// What the replicas of a service beyond its minimum are worth: objective misses avoided a second
/// by the first of them, the second, ..., falling.
struct GrowthValues {
  int64_t min = 0;
  std::vector<double> values;

  /// `1: 0.52, 0.031`: one is the minimum, the next avoids 0.52 misses a second.
  std::string text() const;
  /// Nothing for what is no such text.
  static std::optional<GrowthValues> parse(std::string_view text);

  /// Of a replica, where `before` others are kept rather than it: 0 beyond the values. Empty within
  /// the minimum, and where there are no values.
  std::string of(int64_t before) const;
  /// As they are for further replicas when there are so many.
  void drop(int64_t replicas);
  /// Would it change who goes first? Not a value that differs by less than a quarter, or from zero
  /// by less than 0.001.
  bool differs_from(const GrowthValues& other) const;
};

}  // namespace berth::controllers
