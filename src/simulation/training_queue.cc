#include "simulation/training_queue.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include <fmt/format.h>

#include "base/rng.h"
#include "core/sharing/time_slicing/policy.h"

namespace berth::simulation {
namespace {

using core::SliceJob;
using traces::TrainingJob;

constexpr double kNoiseSigma = 0.5;
constexpr double kFairLimit = 1.05;

/// Index by row of the job table.
std::vector<std::optional<double>> estimates(const TrainingQueueRun& run) {
  std::vector<std::optional<double>> out(run.jobs.size());
  Rng rng(run.seed);
  for (size_t i = 0; i < run.jobs.size(); ++i) {
    if (run.runtime == RuntimeKnowledge::kKnown) out[i] = run.jobs[i].runtime_s;
    if (run.runtime == RuntimeKnowledge::kNoisy) {
      out[i] = run.jobs[i].runtime_s * std::exp(kNoiseSigma * rng.normal());
    }
  }
  return out;
}

std::string policy_names() {
  std::string names;
  for (const core::TimeSlicingPolicy& policy : core::time_slicing_policies()) {
    if (!names.empty()) names += ", ";
    names += policy.name;
  }
  return names;
}

Result<const core::TimeSlicingPolicy*> check(const TrainingQueueRun& run) {
  const core::TimeSlicingPolicy* policy = core::find_time_slicing_policy(run.policy);
  if (policy == nullptr) {
    return fail(ErrorCode::kInvalid, fmt::format("unknown policy `{}`", run.policy), "--policy",
                fmt::format("choose one of {}", policy_names()));
  }
  if (policy->needs_estimates && run.runtime == RuntimeKnowledge::kUnknown) {
    return fail(ErrorCode::kInvalid,
                fmt::format("policy `{}` orders by running times, which are unknown", run.policy),
                "--runtime", "choose known or noisy, or policy berth, las or fifo");
  }
  if (run.devices < 1) {
    return fail(ErrorCode::kInvalid, fmt::format("there are {} GPUs", run.devices), "--gpus",
                "give at least 1");
  }
  if (run.restart_cost_s < 0 || run.restart_cost_s >= run.round_s) {
    return fail(ErrorCode::kInvalid, fmt::format("a restart costs {} s", run.restart_cost_s),
                "--restart-cost", fmt::format("give 0 to less than a round, {} s", run.round_s));
  }
  for (const TrainingJob& job : run.jobs) {
    if (job.devices > run.devices) {
      return fail(ErrorCode::kInvalid,
                  fmt::format("job `{}` wants {} GPUs of {}", job.name, job.devices, run.devices),
                  "--gpus", fmt::format("give at least {}", job.devices));
    }
  }
  return policy;
}

}  // namespace

Result<TrainingQueueResult> run_training_queue(const TrainingQueueRun& run) {
  BERTH_TRY(const core::TimeSlicingPolicy* policy, check(run));
  const std::unique_ptr<core::TimeSlicer> slicer = policy->make();
  const std::vector<std::optional<double>> estimate = estimates(run);
  std::map<std::string_view, uint32_t> models;
  std::vector<uint32_t> model_of;
  for (const TrainingJob& job : run.jobs) {
    model_of.push_back(
        models.emplace(job.model, static_cast<uint32_t>(models.size())).first->second);
  }
  std::vector<uint32_t> by_arrival(run.jobs.size());
  std::iota(by_arrival.begin(), by_arrival.end(), 0u);
  std::stable_sort(by_arrival.begin(), by_arrival.end(), [&](uint32_t a, uint32_t b) {
    return run.jobs[a].arrival_s < run.jobs[b].arrival_s;
  });

  TrainingQueueResult result;
  result.finish_s.assign(run.jobs.size(), 0);
  std::vector<SliceJob> jobs;  // unfinished, by id
  std::vector<core::PastJob> past;
  std::vector<uint32_t> starts(run.jobs.size());
  const double contention = std::max(1.0, static_cast<double>(run.jobs.size()) / run.devices);
  double restart_time = 0;
  size_t arrived = 0;
  size_t finished = 0;
  double now = 0;
  while (finished < run.jobs.size()) {
    for (; arrived < by_arrival.size() && run.jobs[by_arrival[arrived]].arrival_s <= now;
         ++arrived) {
      const uint32_t row = by_arrival[arrived];
      const SliceJob job{row,           run.jobs[row].devices, run.jobs[row].arrival_s, 0, false,
                         model_of[row], estimate[row]};
      jobs.insert(
          std::upper_bound(jobs.begin(), jobs.end(), job,
                           [](const SliceJob& a, const SliceJob& b) { return a.id < b.id; }),
          job);
    }
    const std::vector<size_t> chosen =
        slicer->choose({now, run.round_s, run.restart_cost_s, run.devices, contention, jobs, past});
    std::vector<bool> runs(jobs.size());
    std::vector<uint32_t> rows;
    for (size_t i : chosen) {
      runs[i] = true;
      rows.push_back(jobs[i].id);
    }
    std::sort(rows.begin(), rows.end());
    result.rounds.push_back(std::move(rows));
    std::vector<SliceJob> left;
    std::vector<core::PastJob> ended;
    for (size_t i = 0; i < jobs.size(); ++i) {
      SliceJob& job = jobs[i];
      if (runs[i]) {
        double time = run.round_s;
        if (!job.running) {
          time -= run.restart_cost_s;
          if (starts[job.id]++ > 0) {
            ++result.restarts;
            restart_time += run.restart_cost_s * job.devices;
          }
        }
        const double needs = run.jobs[job.id].runtime_s - job.attained_s;
        if (needs <= time) {
          result.finish_s[job.id] = now + run.round_s - time + needs;
          ended.push_back({job.model, run.jobs[job.id].runtime_s, job.estimate_s});
          ++finished;
          continue;
        }
        job.attained_s += time;
      }
      job.running = runs[i];
      left.push_back(job);
    }
    past.insert(past.end(), ended.begin(), ended.end());
    jobs = std::move(left);
    now += run.round_s;
  }

  double work = restart_time;
  for (size_t i = 0; i < run.jobs.size(); ++i) {
    const TrainingJob& job = run.jobs[i];
    const double jct = result.finish_s[i] - job.arrival_s;
    const double ftf = jct / (job.runtime_s * contention);
    const double share = 1 / static_cast<double>(run.jobs.size());
    result.makespan_s = std::max(result.makespan_s, result.finish_s[i]);
    result.mean_jct_s += jct * share;
    result.worst_ftf = std::max(result.worst_ftf, ftf);
    if (ftf > kFairLimit) result.unfair_percent += 100 * share;
    work += job.runtime_s * job.devices + run.restart_cost_s * job.devices;
  }
  result.restart_percent = work > 0 ? 100 * restart_time / work : 0;
  return result;
}

}  // namespace berth::simulation
