#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/model/event.h"
#include "traces/cluster/cluster.h"

namespace berth::simulation {

/// A job in the core's terms: its gang (none where it is one task) and its members as they arrive.
struct Work {
  std::string name;
  Duration submit;      ///< since the start
  Duration runtime;     ///< with all its members
  Duration checkpoint;  ///< it saves its work this often; 0: never
  bool has_gang = false;
  core::GangUpsert gang;
  std::vector<core::TaskUpsert> members;
  std::string owner;
  /// It runs when the run begins: its members name their places, and since when.
  bool running = false;
};

/// Of work that goes on whatever happens.
inline constexpr Duration kForever = Duration::hours(24 * 365 * 100);

struct Workload {
  std::vector<core::NodeUpsert> nodes;  ///< all that ever are
  std::vector<core::QueueUpsert> queues;
  std::vector<Work> jobs;  ///< by submission
  Time origin{};           ///< when the run starts
  /// What changes from outside: nodes that come, change and go, other people's pods, queues.
  std::vector<std::pair<Duration, core::Event>> changes;
  std::set<std::string> late_nodes;  ///< of `nodes`, those that only come by a change
};

/// The resource that trace devices are.
inline constexpr std::string_view kGpu = "nvidia.com/gpu";

/// Without `queues`, each queue that a job names is made, with equal weights. Fails, with the
/// position, where a job could not start on the empty cluster, names no leaf queue, or where
/// guarantees promise more than there is.
Result<Workload> make_workload(const std::vector<traces::ClusterNode>& nodes,
                               const std::vector<traces::ClusterJob>& jobs,
                               const std::vector<traces::ClusterQueue>& queues);

/// As many jobs drawn with replacement, and as many gaps between submissions: another week like
/// this one.
Workload resampled(const Workload& workload, uint64_t seed);

}  // namespace berth::simulation
