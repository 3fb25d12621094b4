#pragma once

#include <string>
#include <vector>

#include "cli/simulate/cluster_figures.h"

namespace berth::cli {

/// One HTML page that loads nothing: figures with intervals, allocation, fragmentation, waits and
/// fairness over time (a line a policy, a band over its seeds), and a map of the nodes to scrub
/// through, of the first seed. `note` is said with the figures.
std::string cluster_report(const simulation::Workload& workload,
                           const std::vector<ClusterOutcome>& outcomes, const std::string& note);

}  // namespace berth::cli
