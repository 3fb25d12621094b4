#pragma once

#include "core/placement/scorers/scorer.h"

namespace berth::core {

/// Devices already shared first, then idle devices of nodes in use, then empty nodes. After Xiao et
/// al., OSDI 2020 ("AntMan"), as a baseline of Weng et al., USENIX ATC 2023.
class PackingScorer final : public Scorer {
 public:
  int32_t score(const Fleet& fleet, uint32_t node, const Request& request) override;
};

}  // namespace berth::core
