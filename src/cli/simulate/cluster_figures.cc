#include "cli/simulate/cluster_figures.h"

#include <fmt/format.h>

#include "simulation/confidence.h"

namespace berth::cli {

using simulation::ClusterResult;

const std::vector<ClusterFigure>& cluster_figures() {
  static const std::vector<ClusterFigure> figures = {
      {"makespan_s", "makespan", "s", [](const ClusterResult& r) { return r.makespan_s; }},
      {"mean_wait_s", "mean wait", "s", [](const ClusterResult& r) { return r.mean_wait_s; }},
      {"median_wait_s", "median wait", "s", [](const ClusterResult& r) { return r.median_wait_s; }},
      {"p95_wait_s", "95% wait less than", "s",
       [](const ClusterResult& r) { return r.p95_wait_s; }},
      {"mean_jct_s", "mean completion", "s", [](const ClusterResult& r) { return r.mean_jct_s; }},
      {"allocated_percent", "GPUs allocated", "%",
       [](const ClusterResult& r) { return r.allocated_percent; }},
      {"fairness", "worst share of a fair share", "",
       [](const ClusterResult& r) { return r.fairness; }},
      {"preemptions", "preemptions", "",
       [](const ClusterResult& r) { return static_cast<double>(r.preemptions); }},
      {"lost_gpu_hours", "work lost", "GPU h",
       [](const ClusterResult& r) { return r.lost_gpu_hours; }},
      {"node_failures", "node failures", "",
       [](const ClusterResult& r) { return static_cast<double>(r.failures); }},
      {"unfinished", "jobs that never ended", "",
       [](const ClusterResult& r) { return static_cast<double>(r.unfinished); }},
      {"predicted", "starts predicted", "",
       [](const ClusterResult& r) { return static_cast<double>(r.predicted); }},
      {"within_50_percent", "in their 50% interval", "%",
       [](const ClusterResult& r) { return r.within_50_percent; }},
      {"within_90_percent", "in their 90% interval", "%",
       [](const ClusterResult& r) { return r.within_90_percent; }},
      {"cycles", "decisions", "",
       [](const ClusterResult& r) { return static_cast<double>(r.cycles); }},
      {"decision_seconds", "time to decide", "s",
       [](const ClusterResult& r) { return r.decision_seconds; }},
  };
  return figures;
}

std::pair<double, double> mean_of(const ClusterOutcome& outcome, const ClusterFigure& figure) {
  std::vector<double> values;
  double sum = 0;
  for (const auto& [seed, result] : outcome.by_seed) {
    values.push_back(figure.of(result));
    sum += values.back();
  }
  return {values.empty() ? 0 : sum / static_cast<double>(values.size()),
          simulation::confidence_95(values)};
}

JsonObject cluster_json(const simulation::Workload& workload,
                        const std::vector<ClusterOutcome>& outcomes) {
  JsonArray policies;
  for (const ClusterOutcome& outcome : outcomes) {
    JsonArray seeds;
    for (const auto& [seed, result] : outcome.by_seed) {
      JsonObject row{{"seed", seed}};
      for (const ClusterFigure& figure : cluster_figures()) row[figure.name] = figure.of(result);
      seeds.push_back(std::move(row));
    }
    JsonObject mean, width;
    for (const ClusterFigure& figure : cluster_figures()) {
      const auto [value, half] = mean_of(outcome, figure);
      mean[figure.name] = value;
      width[figure.name] = half;
    }
    policies.push_back(JsonObject{{"policy", outcome.policy},
                                  {"seeds", std::move(seeds)},
                                  {"mean", std::move(mean)},
                                  {"confidence_95", std::move(width)}});
  }
  return {{"nodes", workload.nodes.size()},
          {"jobs", workload.jobs.size()},
          {"policies", std::move(policies)}};
}

std::string cluster_csv(const std::vector<ClusterOutcome>& outcomes) {
  std::string text = "policy,seed";
  for (const ClusterFigure& figure : cluster_figures()) text += fmt::format(",{}", figure.name);
  text += '\n';
  for (const ClusterOutcome& outcome : outcomes)
    for (const auto& [seed, result] : outcome.by_seed) {
      text += fmt::format("{},{}", outcome.policy, seed);
      for (const ClusterFigure& figure : cluster_figures())
        text += fmt::format(",{:.10g}", figure.of(result));
      text += '\n';
    }
  return text;
}

std::string cluster_table(const std::vector<ClusterOutcome>& outcomes) {
  std::string text = fmt::format("{:<28}", "");
  for (const ClusterOutcome& outcome : outcomes) text += fmt::format(" {:>24}", outcome.policy);
  text += '\n';
  for (const ClusterFigure& figure : cluster_figures()) {
    text += fmt::format("{:<28}", figure.title);
    for (const ClusterOutcome& outcome : outcomes) {
      const auto [value, half] = mean_of(outcome, figure);
      std::string cell = fmt::format("{:.{}f}", value, value < 100 ? 2 : 0);
      if (outcome.by_seed.size() > 1) cell += fmt::format(" ± {:.{}f}", half, half < 100 ? 2 : 0);
      if (!figure.unit.empty()) cell += fmt::format(" {}", figure.unit);
      text += fmt::format(" {:>24}", cell);
    }
    text += '\n';
  }
  return text;
}

std::string schedule_lines(const std::string& policy, uint64_t seed,
                           const simulation::Workload& workload, const ClusterResult& result) {
  std::string text;
  const auto seconds = [](Duration since) {
    return since.ns < 0 ? std::string() : fmt::format("{:.3f}", since.to_seconds());
  };
  for (size_t i = 0; i < workload.jobs.size(); ++i) {
    const simulation::Work& work = workload.jobs[i];
    const simulation::JobOutcome& job = result.jobs[i];
    text += fmt::format("{},{},{},{},{},{},{},{},{}\n", policy, seed, work.name,
                        work.has_gang ? work.gang.queue : work.members.front().queue,
                        seconds(work.submit), seconds(job.first_start), seconds(job.end),
                        job.starts, seconds(job.lost));
  }
  return text;
}

}  // namespace berth::cli
