#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/placement/request.h"

namespace berth::core {

/// What is expected to arrive: distinct requests by CPU, devices and models (memory is left out)
/// with how often each was seen. Source: "typical pods" of Weng et al., USENIX ATC 2023.
class TypicalMix {
 public:
  struct Entry {
    Request request;
    int64_t count = 0;
  };

  TypicalMix() = default;
  /// From tasks seen: the most frequent distinct requests, ties by larger (CPU, milli, devices,
  /// filter), taken while the cumulative share is below `share_percent`.
  static TypicalMix of(std::span<const Request> seen, int share_percent);

  std::span<const Entry> entries() const { return entries_; }
  /// Sum of the counts.
  int64_t total() const { return total_; }

 private:
  std::vector<Entry> entries_;
  int64_t total_ = 0;
};

}  // namespace berth::core
