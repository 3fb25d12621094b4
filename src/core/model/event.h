#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"
#include "core/model/plan.h"
#include "core/model/queue.h"
#include "core/model/shape.h"
#include "core/model/task.h"

namespace berth::core {

// What happens outside. Events carry names, never ids, so that a journal of them means the same in
// every process. An upsert says everything: what it does not name is gone.

struct DeviceSpec {
  std::string id{};
  std::string resource{};
  std::string model{};
  std::string link_domain{};
  int64_t memory_bytes = 0;
  int16_t numa = -1;
  bool healthy = true;
  bool busy = false;
  bool operator==(const DeviceSpec&) const = default;
};

struct CountedSpec {
  std::string resource{};
  std::string model{};
  int64_t capacity = 0;
  /// Its devices are accelerators: they are charged and shared by queues as such.
  bool accelerator = false;
  bool operator==(const CountedSpec&) const = default;
};

struct NodeUpsert {
  std::string name{};
  Resources capacity{};
  std::vector<DeviceSpec> devices{};
  std::vector<CountedSpec> counted{};
  std::vector<std::pair<std::string, std::string>> labels{};
  std::vector<BasicTaint<std::string>> taints{};
  bool unschedulable = false;
  bool ready = true;
  bool operator==(const NodeUpsert&) const = default;
};
struct NodeRemove {
  std::string name{};
  bool operator==(const NodeRemove&) const = default;
};

/// Measured usage in a window, in thousandths of the node's capacity; -1: not measured.
struct NodeSample {
  std::string node{};
  int32_t cpu_permille = -1;
  int32_t memory_permille = -1;
  int32_t device_permille = -1;
  bool operator==(const NodeSample&) const = default;
};
struct UsageWindow {
  std::vector<NodeSample> samples{};
  bool operator==(const UsageWindow&) const = default;
};

struct QueueUpsert {
  std::string name{};
  std::string parent{};
  int64_t weight_milli = 1000;
  QuotaSpec guaranteed{};
  QuotaSpec limit{};
  Reclaim reclaim = Reclaim::kFairShare;
  QueueTimes times{};
  QueueBudget budget{};
  bool operator==(const QueueUpsert&) const = default;
};
struct QueueRemove {
  std::string name{};
  bool operator==(const QueueRemove&) const = default;
};

/// A gang that a PodGroup or Job declares. (A task alone needs none.)
struct GangUpsert {
  std::string name{};
  std::string queue{};
  int32_t priority = 0;
  uint32_t min = 1;
  uint32_t max = 1;
  std::string topology_key{};
  bool topology_required = false;
  Time created{};
  Duration timeout{};  ///< 0: none
  bool operator==(const GangUpsert&) const = default;
};
struct GangRemove {
  std::string name{};
  bool operator==(const GangRemove&) const = default;
};

/// A pod as it is now. Where `node` is set it holds a place there; control does not take back what
/// it assumed because an older view of the pod says that it is pending.
struct TaskUpsert {
  std::string name{};
  std::string ns{};
  std::string gang{};   ///< empty: on its own
  std::string queue{};  ///< of a task on its own; else the gang's counts
  bool managed = true;
  bool gated = false;
  bool preemptible = true;
  bool restartable = false;
  bool backfilled = false;
  int32_t priority = 0;
  /// Of a task on its own, see Gang::growth_micro.
  int64_t growth_micro = kNotGrowth;
  ShapeSpec shape{};
  std::vector<std::pair<std::string, std::string>> labels{};
  Time created{};
  /// Whose past says how long this takes, where `expected_duration` does not; may be empty.
  std::string owner{};
  Duration expected_duration{};
  Time last_checkpoint{};
  TaskPhase phase = TaskPhase::kPending;
  std::string node{};
  std::vector<std::string> devices{};
  Time started{};
  Duration grace = Duration::seconds(30);
  Time release_by{};
  std::string released_for{};
  bool operator==(const TaskUpsert&) const = default;
};
struct TaskRemove {
  std::string name{};
  bool completed = false;  ///< it did what it was to do: how long that took is remembered
  bool operator==(const TaskRemove&) const = default;
};

/// What a queue has used in the past, as it was kept in its status: read when Berth starts.
struct QueueUsage {
  std::string queue{};
  int64_t decayed = 0;  ///< see Queue::decayed
  Time as_of{};
  bool operator==(const QueueUsage&) const = default;
};

/// How many of the tasks that it selects may be stopped now so that others gain by it: a
/// PodDisruptionBudget.
struct DisruptionBudgetUpsert {
  std::string name{};  ///< `namespace/budget`
  std::string ns{};
  BasicTerm<std::string> selector{};  ///< of the tasks' labels; empty: all of the namespace
  int64_t allowed = 0;
  bool operator==(const DisruptionBudgetUpsert&) const = default;
};
struct DisruptionBudgetRemove {
  std::string name{};
  bool operator==(const DisruptionBudgetRemove&) const = default;
};

/// How long an owner's work took, as it was kept: read when Berth starts.
struct OwnerDurations {
  std::string owner{};
  std::vector<int64_t> milliseconds{};  ///< oldest first
  std::string queue{};                  ///< that keeps them
  bool operator==(const OwnerDurations&) const = default;
};

/// What became of a Bind. A failure puts the task back to kPending.
struct BindDone {
  std::string task{};
  bool ok = true;
  bool operator==(const BindDone&) const = default;
};

/// Work of a queue that takes turns on devices: see core/preemption/turns.h.
struct RoundsPolicy {
  std::string policy{};  ///< of time_slicing_policies(); empty: nobody takes turns
  Duration length = Duration::hours(1);
  Duration restart_cost = Duration::minutes(1);  ///< of a gang's own time, at each start
  bool operator==(const RoundsPolicy&) const = default;
};

/// Configuration.
struct PolicySet {
  std::string profile = "pack";  ///< of placement
  /// Weights of accelerators in fair shares, in thousandths, by model or by resource (for its
  /// models without a row of their own); 1000 where none is given.
  std::vector<std::pair<std::string, int64_t>> accelerator_weights_milli{};
  /// Where a task names a queue that is not there (and `default` is not either): wait, or run in
  /// a queue made for it.
  QueueTimes default_times{};
  Duration lost_work_cap = Duration::hours(24);
  Duration intent_timeout = Duration::seconds(30);
  /// What a queue borrowed counts against its weight, half as much after each of these; 0: the past
  /// does not count.
  Duration usage_half_life{};
  /// Restartable tasks may be moved for a gang that they keep from starting.
  bool consolidate = false;
  RoundsPolicy rounds{};
  bool operator==(const PolicySet&) const = default;
};

/// Control begins to carry out a plan.
struct PlanCommit {
  uint64_t plan = 0;
  std::vector<Action> actions{};
  bool operator==(const PlanCommit&) const = default;
};

/// Time passes. `now` never goes back: an earlier one counts as the last.
struct Tick {
  Time now{};
  bool operator==(const Tick&) const = default;
};

using Event =
    std::variant<Tick, NodeUpsert, NodeRemove, UsageWindow, QueueUpsert, QueueRemove, GangUpsert,
                 GangRemove, TaskUpsert, TaskRemove, BindDone, PolicySet, PlanCommit, QueueUsage,
                 OwnerDurations, DisruptionBudgetUpsert, DisruptionBudgetRemove>;

}  // namespace berth::core
