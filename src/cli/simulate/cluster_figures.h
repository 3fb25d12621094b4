#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "objects/json.h"
#include "simulation/cluster/cluster.h"

namespace berth::cli {

/// One policy's runs.
struct ClusterOutcome {
  std::string policy;
  std::vector<std::pair<uint64_t, simulation::ClusterResult>> by_seed;
};

/// One figure of a run, as it is named in JSON and CSV and titled in tables.
struct ClusterFigure {
  std::string_view name;
  std::string_view title;
  std::string_view unit;
  double (*of)(const simulation::ClusterResult&);
};
const std::vector<ClusterFigure>& cluster_figures();
/// Mean over seeds, and half the width of its 95% interval.
std::pair<double, double> mean_of(const ClusterOutcome& outcome, const ClusterFigure& figure);

JsonObject cluster_json(const simulation::Workload& workload,
                        const std::vector<ClusterOutcome>& outcomes);
/// A line a policy and seed.
std::string cluster_csv(const std::vector<ClusterOutcome>& outcomes);
std::string cluster_table(const std::vector<ClusterOutcome>& outcomes);
/// A line a job; empty where it never came to that.
std::string schedule_lines(const std::string& policy, uint64_t seed,
                           const simulation::Workload& workload,
                           const simulation::ClusterResult& result);

}  // namespace berth::cli
