#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "core/model/state.h"

namespace berth::control {

/// When a gang could start, as a distribution.
struct StartPrediction {
  Time median;
  Time from_50, to_50;  ///< holds the start with 50%
  Time from_90, to_90;  ///< with 90%
  size_t learned = 0;   ///< of how many running gangs the end is guessed from their owners' past
  size_t given = 0;     ///< and of how many their owners said it
};

/// For a gang that waits for others to end, and is the next of its queue: draws the end of all that
/// runs, from what is known of how long it takes, some hundred times, and sees when the gang first
/// fits. Nothing where it would not fit in most draws, or too little is known. Changes nothing.
std::optional<StartPrediction> predict_start(const core::State& state, uint64_t seed,
                                             core::GangId gang);

}  // namespace berth::control
