#include "core/sharing/time_slicing/planned.h"

#include <algorithm>
#include <cmath>

#include "core/sharing/time_slicing/rules.h"

namespace berth::core {
std::vector<size_t> planned_order(const SliceView& view, const PlannedRule& rule) {
  const size_t count = view.jobs.size();
  double work = 0;
  double longest = 0;
  std::vector<double> remaining(count);
  for (size_t i = 0; i < count; ++i) {
    remaining[i] = remaining_s(view, view.jobs[i]);
    work += remaining[i] * view.jobs[i].devices;
    longest = std::max(longest, remaining[i]);
  }
  const double horizon = std::max(longest, rule.stretch * work / view.devices);
  std::vector<SliceKey> keys(count);
  for (size_t i = 0; i < count; ++i) {
    const SliceJob& job = view.jobs[i];
    const double length = std::max(job.estimate_s.value_or(0), job.attained_s + remaining[i]);
    const double fairness =
        (view.now_s + view.round_s + remaining[i] - job.arrived_s) / (length * view.contention);
    if (horizon - remaining[i] < rule.hard_slack * horizon) {
      keys[i] = {-1, horizon - remaining[i]};
    } else if (fairness > rule.fairness_limit) {
      keys[i] = {0, -fairness};
    } else if (horizon - remaining[i] < rule.slack * horizon) {
      keys[i] = {1, horizon - remaining[i]};
    } else {
      keys[i] = {2, remaining[i] * std::pow(job.devices, rule.device_exponent)};
    }
  }
  return order_by(view, keys);
}

PlannedOutcome roll_out(const SliceView& view, const PlannedRule& rule,
                        const std::vector<size_t>* first) {
  std::vector<SliceJob> jobs(view.jobs.begin(), view.jobs.end());
  for (SliceJob& job : jobs) job.estimate_s = job.attained_s + remaining_s(view, job);
  SliceView ahead = view;
  PlannedOutcome outcome;
  while (!jobs.empty()) {
    ahead.jobs = jobs;
    const std::vector<size_t> chosen =
        first != nullptr ? *first : fill_in_order(ahead, planned_order(ahead, rule));
    first = nullptr;
    if (chosen.empty()) break;
    std::vector<bool> runs(jobs.size());
    for (size_t i : chosen) runs[i] = true;
    std::vector<SliceJob> left;
    for (size_t i = 0; i < jobs.size(); ++i) {
      SliceJob& job = jobs[i];
      if (!runs[i]) {
        job.running = false;
        left.push_back(job);
        continue;
      }
      const double cost = job.running ? 0 : view.restart_cost_s;
      const double needs = *job.estimate_s - job.attained_s;
      if (needs <= view.round_s - cost) {
        const double finish = ahead.now_s + cost + needs;
        const double jct = finish - job.arrived_s;
        outcome.makespan_s = std::max(outcome.makespan_s, finish);
        outcome.total_jct_s += jct;
        outcome.worst_fairness =
            std::max(outcome.worst_fairness, jct / (*job.estimate_s * view.contention));
      } else {
        job.attained_s += view.round_s - cost;
        job.running = true;
        left.push_back(job);
      }
    }
    jobs = std::move(left);
    ahead.now_s += view.round_s;
  }
  return outcome;
}

}  // namespace berth::core
