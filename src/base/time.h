#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace berth {

/// A span of time in integer nanoseconds.
struct Duration {
  int64_t ns = 0;

  static constexpr Duration nanoseconds(int64_t n) { return {n}; }
  static constexpr Duration microseconds(int64_t n) { return {n * 1'000}; }
  static constexpr Duration milliseconds(int64_t n) { return {n * 1'000'000}; }
  static constexpr Duration seconds(int64_t n) { return {n * 1'000'000'000}; }
  static constexpr Duration minutes(int64_t n) { return seconds(n * 60); }
  static constexpr Duration hours(int64_t n) { return seconds(n * 3600); }
  /// Rounds to the nearest nanosecond.
  static Duration from_seconds(double seconds);

  constexpr double to_seconds() const { return static_cast<double>(ns) / 1e9; }
  constexpr int64_t to_milliseconds() const { return ns / 1'000'000; }

  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration other) const { return {ns + other.ns}; }
  constexpr Duration operator-(Duration other) const { return {ns - other.ns}; }
  constexpr Duration operator*(int64_t factor) const { return {ns * factor}; }
  constexpr Duration operator/(int64_t divisor) const { return {ns / divisor}; }
};

/// An instant, in nanoseconds since the Unix epoch (or since the start of a simulation).
struct Time {
  int64_t ns = 0;

  constexpr auto operator<=>(const Time&) const = default;
  constexpr Time operator+(Duration d) const { return {ns + d.ns}; }
  constexpr Time operator-(Duration d) const { return {ns - d.ns}; }
  constexpr Duration operator-(Time other) const { return {ns - other.ns}; }
};

/// The only way in which anything outside `app/` learns the time.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

/// RFC 3339 in UTC with whole seconds, as Kubernetes' `metav1.Time`: `2026-11-23T10:48:05Z`.
std::string format_time(Time time);
/// RFC 3339 with microseconds, as Kubernetes' `metav1.MicroTime`.
std::string format_micro_time(Time time);
/// Reads RFC 3339 with any fraction and any offset. What lies before 1800 or after 2200 ("never")
/// is taken for the nearer of the two, so that sums with durations stay within 64 bits.
Result<Time> parse_time(std::string_view text);

/// Reads a Go-style duration: `1h30m`, `800ms`, `1.5s`, `-2m`. A bare `0` is allowed, a unit else
/// is not.
Result<Duration> parse_duration(std::string_view text);
/// Writes what Go's `time.Duration` prints: `1h30m0s`, `800ms`.
std::string format_duration(Duration duration);
/// For people, two units at most: `4d3h`, `12m`, `42s`, as kubectl prints ages.
std::string format_age(Duration age);

}  // namespace berth
