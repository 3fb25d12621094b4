#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "cli/simulate/cluster_figures.h"
#include "core/model/event.h"
#include "simulation/cluster/workload.h"

namespace berth::cli {

/// What is to be simulated, and what it is compared with.
struct SimulatedWork {
  simulation::Workload workload;
  core::PolicySet policy;              ///< what policies are variations of
  std::optional<Duration> horizon;     ///< of a journal: its length
  std::optional<ClusterOutcome> past;  ///< of a journal: what did happen
  std::string note;                    ///< what had to be assumed; a sentence or none
};

/// The journal at `path`: a folder of `berth serve`, or one segment of it.
Result<SimulatedWork> work_of_journal(const std::string& path);

}  // namespace berth::cli
