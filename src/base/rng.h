#pragma once

#include <cstdint>

namespace berth {

/// A seeded generator whose sequence is the same on every machine and compiler (xoshiro256**,
/// Blackman and Vigna 2018, seeded by splitmix64). It satisfies UniformRandomBitGenerator, but the
/// standard library's distributions differ between implementations: use the members below.
class Rng {
 public:
  using result_type = uint64_t;
  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return ~uint64_t{0}; }

  explicit Rng(uint64_t seed);

  uint64_t operator()();
  /// Uniform in [0, bound), without bias. `bound` must be positive.
  uint64_t below(uint64_t bound);
  /// Uniform in [0, 1).
  double uniform();
  /// Exponential with this mean.
  double exponential(double mean);
  /// Standard normal.
  double normal();
  /// Gamma with this shape and scale (Marsaglia and Tsang 2000).
  double gamma(double shape, double scale);

 private:
  uint64_t state_[4];
};

}  // namespace berth
