#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace berth::traces {

/// A node of a simulated cluster. `where` is the position in its file, for messages.
struct ClusterNode {
  std::string name;
  int64_t cpu_milli = 0;
  int64_t memory_mib = 0;
  int devices = 0;
  std::string model;
  std::string rack;
  std::string where;
};

/// A job as one trace format or another tells of it: `members` equal tasks that start together.
struct ClusterJob {
  std::string name;
  std::string owner;
  std::string queue;  ///< empty: `default`
  double submit_s = 0;
  double runtime_s = 0;
  double estimate_s = 0;  ///< what its owner said it would take; 0: nothing
  // Of each member:
  int64_t cpu_milli = 0;
  int64_t memory_mib = 0;
  int devices = 0;
  int device_milli = 1000;  ///< of each device; below 1000 only with one
  std::string models;       ///< allowed models joined by `|`; empty: any
  uint32_t members = 1;
  int32_t priority = 0;
  bool preemptible = true;
  double checkpoint_s = 0;  ///< saves its work this often; 0: never
  std::string where;
};

/// Absent amounts are -1.
struct ClusterQueue {
  std::string name;
  std::string parent;
  double weight = 1;
  double guaranteed_gpus = -1;
  double limit_gpus = -1;
  std::string where;
};

/// What a processor of an SWF trace stands for.
enum class SwfProcessor { kCpu, kGpu };

/// Columns `name` (or `sn`), `cpu_milli`, `memory_mib`, `gpu`, and optionally `model`, `rack`.
Result<std::vector<ClusterNode>> read_cluster_nodes(std::string_view text, const std::string& file);
/// Columns `queue`, and optionally `parent`, `weight`, `guaranteed_gpus`, `limit_gpus`. Fails where
/// a parent is not there, or queues are their own ancestors.
Result<std::vector<ClusterQueue>> read_cluster_queues(std::string_view text,
                                                      const std::string& file);

/// Reads a job trace; the format is told by its content:
/// - a table with the columns `job,submit_s,runtime_s,gpus` and optionally `cpu_milli, memory_mib,
///   gpu_milli, gpu_spec, members, queue, owner, estimate_s, priority, preemptible, checkpoint_s`;
/// - openb's pod table (`creation_time`, `deletion_time`);
/// - Helios' job table (`gpu_num`, `node_num`, `submit_time`, `duration`; Hu et al., SC 2021);
/// - Philly's job log, JSON with `attempts` (Jeon et al., ATC 2019);
/// - the Standard Workload Format, 18 numbers a line, comments with `;` (Feitelson's archive).
/// Jobs that never ran are left out. Times count from the first submission.
Result<std::vector<ClusterJob>> read_cluster_jobs(std::string_view text, const std::string& file,
                                                  SwfProcessor processor);

// The formats one by one.
Result<std::vector<ClusterJob>> read_job_table(std::string_view text, const std::string& file);
Result<std::vector<ClusterJob>> read_openb_jobs(std::string_view text, const std::string& file);
Result<std::vector<ClusterJob>> read_helios_jobs(std::string_view text, const std::string& file);
Result<std::vector<ClusterJob>> read_philly_jobs(std::string_view text, const std::string& file);
Result<std::vector<ClusterJob>> read_swf_jobs(std::string_view text, const std::string& file,
                                              SwfProcessor processor);

/// `2017-10-09 07:02:00` as seconds since 1970; nothing where it is not of this form.
Result<double> read_timestamp(std::string_view text, const std::string& where);

}  // namespace berth::traces
