#pragma once

#include "core/placement/scorers/scorer.h"

namespace berth::core {

/// The first node in order on which the request fits.
class FirstFitScorer final : public Scorer {
 public:
  int32_t score(const Fleet&, uint32_t, const Request&) override { return 0; }
};

}  // namespace berth::core
