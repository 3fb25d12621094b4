#include "cli/simulate/report/training_report.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include <fmt/format.h>

#include "cli/simulate/report/charts.h"
#include "cli/simulate/report/html.h"

namespace berth::cli {
namespace {

std::string schedule_chart(const std::vector<traces::TrainingJob>& jobs,
                           const simulation::TrainingQueueRun& run,
                           const simulation::TrainingQueueResult& result) {
  std::vector<uint32_t> order(jobs.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return jobs[a].arrival_s < jobs[b].arrival_s; });
  std::vector<std::string> rows;
  rows.reserve(order.size());
  for (uint32_t job : order) rows.push_back(jobs[job].name);
  std::vector<Bar> bars;
  std::vector<size_t> open(jobs.size(), SIZE_MAX);  // the bar that the job's last round extends
  for (size_t round = 0; round < result.rounds.size(); ++round) {
    const double start = static_cast<double>(round) * run.round_s;
    for (uint32_t job : result.rounds[round]) {
      const double end = std::min(start + run.round_s, result.finish_s[job]);
      if (open[job] != SIZE_MAX && bars[open[job]].to_s >= start) {
        bars[open[job]].to_s = end;
        continue;
      }
      open[job] = bars.size();
      const auto width = static_cast<unsigned>(jobs[job].devices);
      bars.push_back({jobs[job].name, start, end, static_cast<size_t>(std::bit_width(width)) - 1});
    }
  }
  return gantt_chart(rows, bars);
}

}  // namespace

std::string training_report(const std::vector<traces::TrainingJob>& jobs,
                            const simulation::TrainingQueueRun& run,
                            const std::vector<TrainingOutcome>& outcomes) {
  std::vector<std::vector<std::string>> table = {
      {"policy", "makespan", "mean completion", "worst fairness", "unfair", "restarts"}};
  std::vector<Series> front;
  for (const auto& [policy, result] : outcomes) {
    table.push_back(
        {policy, fmt::format("{:.0f} s", result.makespan_s),
         fmt::format("{:.0f} s", result.mean_jct_s), fmt::format("{:.2f}", result.worst_ftf),
         fmt::format("{:.1f}%", result.unfair_percent), std::to_string(result.restarts)});
    front.push_back({policy, {{result.makespan_s, result.mean_jct_s}}, {}, {}});
  }
  std::vector<Section> sections = {
      {"Figures",
       fmt::format("{} training jobs on {} equal GPUs. Fairness is the time from arrival to end, "
                   "over the running time under fair contention: above 1.05 is unfair.",
                   jobs.size(), run.devices),
       html_table(table)},
      {"Makespan and mean completion", "Both are better smaller: towards the lower left.",
       scatter_chart({"Makespan, s", "Mean time from arrival to end, s"}, front)}};
  for (const auto& [policy, result] : outcomes) {
    sections.push_back({"When each job ran: " + policy,
                        "A row a job, in the order of arrival; colours tell 1, 2, 4, ... GPUs.",
                        schedule_chart(jobs, run, result)});
  }
  return html_page("Training queue", sections);
}

}  // namespace berth::cli
