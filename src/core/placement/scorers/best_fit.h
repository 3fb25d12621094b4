#pragma once

#include "core/placement/scorers/scorer.h"

namespace berth::core {

/// The node with the least left over after placing, CPU and accelerators weighed equally against
/// fixed sizes (128 cores, 8 devices). Baseline of Weng et al., USENIX ATC 2023.
class BestFitScorer final : public Scorer {
 public:
  int32_t score(const Fleet& fleet, uint32_t node, const Request& request) override;
};

}  // namespace berth::core
