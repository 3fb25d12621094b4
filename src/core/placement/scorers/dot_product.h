#pragma once

#include "core/placement/scorers/scorer.h"

namespace berth::core {

/// The node whose free resources are least aligned with the request (CPU and accelerators against
/// fixed sizes), so that unlike requests share nodes. After Grandl et al., SIGCOMM 2014 ("Tetris"),
/// as a baseline of Weng et al., USENIX ATC 2023.
class DotProductScorer final : public Scorer {
 public:
  int32_t score(const Fleet& fleet, uint32_t node, const Request& request) override;
};

}  // namespace berth::core
