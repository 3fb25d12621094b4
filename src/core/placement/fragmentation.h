#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/placement/typical_mix.h"

namespace berth::core {

/// How much of a node's idle accelerator time the expected mix cannot use (Weng et al., "Beware of
/// Fragmentation", USENIX ATC 2023): the sum over typical requests m of count(m) * f(m), where f(m)
/// is all idle milli of the node, unless m needs devices and fits: then it is what idles on devices
/// too full for m. In integers: divide by `TypicalMix::total()` for the expected value in milli.
class FragmentationMeter {
 public:
  explicit FragmentationMeter(const TypicalMix& mix);

  int64_t fragmented(int model, int64_t cpu_milli, std::span<const int16_t> left) const;
  int64_t total() const { return total_; }

 private:
  /// Requests that differ in CPU alone.
  struct Group {
    int16_t devices;
    int16_t milli;
  };
  /// For one model: how many typical requests of each group are satisfied at each level of free
  /// CPU.
  struct Table {
    std::vector<int64_t> cpu;     ///< ascending distinct CPU requests
    std::vector<int32_t> counts;  ///< (cpu.size() + 1) rows of groups_.size(): below cpu[0] first
  };

  std::vector<Group> groups_;
  std::vector<Table> tables_;  ///< by model
  int64_t total_ = 0;
};

}  // namespace berth::core
