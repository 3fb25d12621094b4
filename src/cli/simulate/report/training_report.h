#pragma once

#include <string>
#include <vector>

#include "simulation/training_queue.h"

namespace berth::cli {

struct TrainingOutcome {
  std::string policy;
  simulation::TrainingQueueResult result;
};

/// `run`: what all outcomes have in common.
std::string training_report(const std::vector<traces::TrainingJob>& jobs,
                            const simulation::TrainingQueueRun& run,
                            const std::vector<TrainingOutcome>& outcomes);

}  // namespace berth::cli
