#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "control/journal.h"
#include "core/model/event.h"
#include "simulation/cluster/workload.h"

namespace berth::simulation {

/// Nodes fail and come back, each at exponential intervals; 0: they do not fail.
struct Failures {
  Duration between{};  ///< mean time between failures of one node
  Duration repair = Duration::hours(1);
};

struct ClusterRun {
  const Workload* workload = nullptr;
  core::PolicySet policy{};
  uint64_t seed = 1;
  Failures failures{};
  size_t frames = 200;  ///< how many moments of the run are kept for plots
  /// Predict the start of each job when it becomes the first of its queue and has to wait.
  bool predict = false;
  /// The run ends then; without one, when all jobs have ended.
  std::optional<Duration> horizon{};
  control::JournalSink* journal = nullptr;  ///< outlives the run; null: none
};

/// What became of a job.
struct JobOutcome {
  Duration first_start{-1};  ///< since the start of the run; -1: never
  Duration end{-1};
  uint32_t starts = 0;
  Duration lost{};  ///< time that it had run for nothing
};

/// The cluster at one moment.
struct Frame {
  double at_s = 0;
  double allocated_percent = 0;
  /// Of all GPUs: idle where the mix of the trace's jobs cannot use them (the measure of FGD, over
  /// its kinds of jobs, each weighted by how many there are).
  double fragmented_percent = 0;
  size_t waiting = 0;
  double mean_wait_s = 0;          ///< so far, of those that wait
  std::vector<double> queue_gpus;  ///< in the order of the workload's queues
  /// Of the queue that is worst off: what it has of its fair share, at most 1.
  double fairness = 1;
  std::string nodes;  ///< a character a node: `0`..`9` tenths of its GPUs in use, `x` gone
};

struct ClusterResult {
  std::vector<JobOutcome> jobs;  ///< as in the workload
  std::vector<Frame> frames;
  double makespan_s = 0;
  double allocated_percent = 0;  ///< mean over time from the first submission to the last end
  double mean_wait_s = 0, median_wait_s = 0, p95_wait_s = 0;  ///< until the first start
  double mean_jct_s = 0;
  double fairness = 1;  ///< mean of the frames'
  double lost_gpu_hours = 0;
  uint64_t preemptions = 0;
  uint64_t failures = 0;
  uint64_t cycles = 0;
  double decision_seconds = 0;  ///< of this machine's time
  size_t unfinished = 0;
  size_t predicted = 0;          ///< starts that were predicted
  double within_50_percent = 0;  ///< of them, those that fell into the 50% interval
  double within_90_percent = 0;
};

/// What follows from the outcomes of the jobs and the frames: waits (of who never started, until
/// the horizon), completions, the end of the run, fairness.
void add_up(const Workload& workload, std::optional<Duration> horizon, ClusterResult& result);
/// Devices of one member, in thousandths.
int64_t milli_of(const Work& work);
/// How many of its members it takes to get on.
size_t needed_of(const Work& work);

/// Runs the workload through the production cycle (control::Control) in virtual time: jobs arrive,
/// run, are preempted, lose nodes, and end. Equal input gives equal output, the seconds of this
/// machine aside, which `clock` measures.
Result<ClusterResult> run_cluster(const ClusterRun& run, const Clock& clock);

}  // namespace berth::simulation
