#pragma once

#include "core/placement/fragmentation.h"
#include "core/placement/scorers/scorer.h"

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
  Choice best_share(const Fleet& fleet, uint32_t node, const Request& request) const;
  int32_t gradient(int64_t before, int64_t after) const;

  FragmentationMeter meter_;
};

}  // namespace berth::core
