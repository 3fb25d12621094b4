#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "traces/training_queue.h"

namespace berth::simulation {

/// What a policy is told of a job's running time.
enum class RuntimeKnowledge : uint8_t {
  kKnown,
  kNoisy,    ///< times a lognormal factor, median 1, sigma 0.5
  kUnknown,  ///< nothing: only what has run so far, and jobs that ended
};

/// The training-queue benchmark: jobs share equal devices in rounds.
struct TrainingQueueRun {
  std::span<const traces::TrainingJob> jobs;
  int devices = 32;
  std::string_view policy = "berth";
  RuntimeKnowledge runtime = RuntimeKnowledge::kKnown;
  double restart_cost_s = 0;  ///< of a job's own time, at each start
  uint64_t seed = 1;          ///< of the noise
  double round_s = 120;
};

struct TrainingQueueResult {
  double makespan_s = 0;
  double mean_jct_s = 0;
  double worst_ftf = 0;
  double unfair_percent = 0;
  uint64_t restarts = 0;                      ///< starts after a job's first
  double restart_percent = 0;                 ///< device time of restarts, of all device time used
  std::vector<std::vector<uint32_t>> rounds;  ///< rows of the job table that ran in each
  std::vector<double> finish_s;               ///< by row
};

/// Fails for an unknown policy, one that needs estimates where there are none, and a job that asks
/// for more devices than there are.
Result<TrainingQueueResult> run_training_queue(const TrainingQueueRun& run);

}  // namespace berth::simulation
