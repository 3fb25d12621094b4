#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace berth::core {

/// How long work of each owner took, the newest of it. Bounded: of many owners, those that nothing
/// was heard of for longest are forgotten.
class DurationMemory {
 public:
  static constexpr size_t kOwners = 2048;
  static constexpr size_t kPerOwner = 32;

  /// `queue`: that the work was in.
  void add(std::string_view owner, std::string_view queue, Duration took);
  /// Milliseconds, oldest first; empty where nothing is known.
  std::span<const int64_t> of(std::string_view owner) const;

  struct Past {
    std::vector<int64_t> milliseconds;
    std::string queue;  ///< of the newest; its status keeps them
    uint64_t heard = 0;
  };
  const std::map<std::string, Past, std::less<>>& owners() const { return owners_; }
  /// Grows with every `add`.
  uint64_t version() const { return next_; }

 private:
  std::map<std::string, Past, std::less<>> owners_;
  uint64_t next_ = 1;
};

/// What is known of how long something takes: the logarithm of its seconds is normal.
struct DurationBelief {
  double mean = 0;       ///< of ln(seconds)
  double deviation = 0;  ///< 0: as its owner said
  size_t samples = 0;    ///< 0: its owner said so

  bool learned() const { return samples > 0; }
  /// The time that it takes at most with this probability, given that it has run for `elapsed`.
  Duration at_most(double probability, Duration elapsed = {}) const;
};

/// The fewest samples that are believed.
inline constexpr size_t kFewestDurations = 5;

/// From `milliseconds`; nothing where they are fewer than kFewestDurations. The deviation is that
/// of a prediction: with few samples it is wider.
std::optional<DurationBelief> learned_belief(std::span<const int64_t> milliseconds);

}  // namespace berth::core
