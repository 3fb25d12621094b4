#pragma once

#include "core/placement/scorers/scorer.h"

namespace berth::core {

/// Tasks of one size (a share, 1, 2, 4, 8 devices) to nodes that hold that size only, the fullest
/// first. After Weng et al., NSDI 2022 ("MLaaS in the Wild"), as a baseline of Weng et al., USENIX
/// ATC 2023.
class ClusteringScorer final : public Scorer {
 public:
  int32_t score(const Fleet& fleet, uint32_t node, const Request& request) override;
};

}  // namespace berth::core
