#pragma once

#include "core/placement/fragmentation.h"
#include "core/placement/scorers/scorer.h"
#include "core/placement/state_memo.h"

namespace berth::core {

/// Fragmentation gradient descent: the node (and device) where the expected fragmentation grows
/// least. Score: trunc(100 * sigmoid((F before - F after) / 1000)). Weng et al., USENIX ATC 2023.
class FgdScorer final : public Scorer {
 public:
  explicit FgdScorer(const TypicalMix& mix) : meter_(mix) {}

  int32_t score(const Fleet& fleet, uint32_t node, const Request& request) override;
  DeviceSet choose_devices(const Fleet& fleet, uint32_t node, const Request& request) override;

 private:
  struct Choice {
    int32_t score;
    size_t device;
  };
  Choice best_share(const Fleet& fleet, uint32_t node, const Request& request);
  int64_t fragmented(int model, int64_t cpu_milli, std::span<const int16_t> left) {
    return memo_.get(model, cpu_milli, memo_.devices_key(left),
                     [&] { return meter_.fragmented(model, cpu_milli, left); });
  }
  int32_t gradient(int64_t before, int64_t after) const;

  FragmentationMeter meter_;
  StateMemo<int64_t> memo_;
};

}  // namespace berth::core
