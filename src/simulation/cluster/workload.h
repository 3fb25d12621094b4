#pragma once

#include <string>
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
};

struct Workload {
  std::vector<core::NodeUpsert> nodes;
  std::vector<core::QueueUpsert> queues;
  std::vector<Work> jobs;  ///< by submission
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
