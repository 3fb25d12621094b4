#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "core/model/event.h"
#include "core/model/names/name_index.h"
#include "core/model/names/names.h"
#include "core/model/node.h"
#include "core/model/past/durations.h"
#include "core/model/plan.h"
#include "core/model/queue.h"
#include "core/model/shape.h"
#include "core/model/task.h"

namespace berth::core {

struct Accelerator {
  NameId name;  ///< its model, or its resource where no model is known
  NameId resource;
  int64_t weight_milli = 1000;
};

/// A claim or reservation in force.
struct HeldClaim {
  GangId gang{};
  bool reservation = false;
  std::vector<Placement> members{};
  Time expires{};
  std::optional<Time> start{};
  bool lifted = false;  ///< for the moment it keeps nobody out (only within a Trial)
};

/// See DisruptionBudgetUpsert.
struct DisruptionBudget {
  std::string name;
  NameId ns;
  Term selector;
  int64_t allowed = 0;
};

/// Everything that decisions depend on. `apply` is the only lasting mutation; a Trial makes moves
/// that are undone. Reads are plain. One thread.
///
/// Nodes have a change log, so that an index rescores only what changed:
///   for (NodeId node : state.changes_since(cursor)) …; cursor = state.change_cursor();
class State {
 public:
  State();
  ~State();
  State(const State&);
  State& operator=(const State&);
  State(State&&) noexcept;
  State& operator=(State&&) noexcept;

  /// Events that name what does not exist are ignored; objects arrive in any order.
  void apply(const Event& event);
  /// The same as `apply(PlanCommit{plan, actions})`.
  void commit(uint64_t plan, std::span<const Action> actions);

  Time now() const { return now_; }
  const PolicySet& policy() const { return policy_; }
  const NameTable& names() const { return names_; }
  /// Interns for a caller's own use (constraint keys, test set-up). It changes no decision.
  NameId intern(std::string_view name) { return names_.intern(name); }

  /// All slots, also free ones (`alive == false`), in order of id.
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const Task> tasks() const { return tasks_; }
  std::span<const Gang> gangs() const { return gangs_; }
  std::span<const Queue> queues() const { return queues_; }
  const Node& node(NodeId id) const { return nodes_[id.index()]; }
  const Task& task(TaskId id) const { return tasks_[id.index()]; }
  const Gang& gang(GangId id) const { return gangs_[id.index()]; }
  const Queue& queue(QueueId id) const { return queues_[id.index()]; }
  size_t alive_nodes() const { return alive_nodes_; }

  /// The gangs that are open (Gang::open), in order of id.
  std::vector<GangId> open_gangs() const;
  /// How many managed tasks there are of a shape.
  uint32_t tasks_of_shape(ShapeId id) const { return tasks_of_shape_[id.index()]; }

  NodeId find_node(std::string_view name) const;
  TaskId find_task(std::string_view name) const;
  GangId find_gang(std::string_view name) const;
  QueueId find_queue(std::string_view name) const;

  size_t shape_count() const { return shapes_.size(); }
  const Shape& shape(ShapeId id) const { return shapes_[id.index()]; }
  const Shape& shape_of(TaskId id) const { return shapes_[tasks_[id.index()].shape.index()]; }
  ShapeId intern(const ShapeSpec& spec);
  std::span<const Label> labels(LabelSetId id) const;

  std::span<const Accelerator> accelerators() const { return accelerators_; }
  /// What healthy, idle or used devices, CPUs and memory there are on nodes that take work.
  const Usage& capacity() const { return capacity_; }
  std::span<const HeldClaim> claims() const { return claims_; }
  /// When turns were given last (BeginRound); 0: never.
  Time round_begun() const { return round_begun_; }
  /// In the order of their names.
  std::span<const DisruptionBudget> disruption_budgets() const { return disruption_budgets_; }
  const DurationMemory& durations() const { return durations_; }
  /// How long this task takes: as its owner said, else as the owner's past work took.
  std::optional<DurationBelief> duration_of(const Task& task) const;

  /// What `task` would be charged on `node` (with `devices`, where the node names them).
  Charge charge_of(const Shape& shape, const Node& node, DeviceSet devices) const;

  /// Grows with every change of a node, trial moves and their undoing included.
  uint64_t change_cursor() const { return change_base_ + changes_.size(); }
  /// Is the log since `cursor` still kept? If not, look at every node.
  bool remembers(uint64_t cursor) const { return cursor >= change_base_; }
  /// The nodes that changed since, oldest first, some more than once. Needs `remembers(cursor)`.
  std::span<const NodeId> changes_since(uint64_t cursor) const {
    return std::span(changes_).subspan(cursor - change_base_);
  }

  /// A digest of everything that decisions depend on; by names, so it is the same in a State that
  /// was restored from `snapshot`.
  uint64_t hash() const;
  /// Events that make an empty State equal to this one. Not within a Trial.
  std::vector<Event> snapshot() const;

  /// The event that says what is known of one thing.
  QueueUpsert describe(QueueId id) const;
  NodeUpsert describe(NodeId id) const;
  GangUpsert describe(GangId id) const;
  TaskUpsert describe(TaskId id) const;
  /// The place by names.
  PlaceSpec spell(const Placement& placement) const;
  /// Nothing where the task, node or a device of it is not known.
  std::optional<Placement> resolve(const PlaceSpec& place) const;

 private:
  friend class Trial;
  struct Undo;

  void on(const Tick& event);
  void on(const NodeUpsert& event);
  void on(const NodeRemove& event);
  void on(const UsageWindow& event);
  void on(const QueueUpsert& event);
  void on(const QueueRemove& event);
  void on(const GangUpsert& event);
  void on(const GangRemove& event);
  void on(const TaskUpsert& event);
  void on(const TaskRemove& event);
  void on(const BindDone& event);
  void on(const PolicySet& event);
  void on(const PlanCommit& event);
  void on(const QueueUsage& event);
  void on(const OwnerDurations& event);
  void on(const DisruptionBudgetUpsert& event);
  void on(const DisruptionBudgetRemove& event);
  void on_action(const Bind& action, uint64_t plan);
  void on_action(const Evict& action, uint64_t plan);
  void on_action(const PersistIntent& action, uint64_t plan);
  void on_action(const ClearIntent& action, uint64_t plan);
  void on_action(const Claim& action, uint64_t plan);
  void on_action(const Unclaim& action, uint64_t plan);
  void on_action(const MarkBlocked& action, uint64_t plan);
  void on_action(const MarkBroken& action, uint64_t plan);
  void on_action(const BeginRound& action, uint64_t plan);

  // Accounting: what a task holds of its node and charges to its queues.
  void attach(TaskId id);
  void detach(TaskId id);
  void add_use(const Task& task, int sign);
  void add_releasing(const Task& task, int sign);
  void add_pending(const Task& task, int sign);
  void count_member(const Task& task, int sign);
  /// Keeps `open_gangs_`: to be called when what Gang::open depends on changed.
  void review(GangId id);
  void charge(QueueId queue, Usage Queue::* which, const Charge& charge, int sign);
  void add_capacity(const Node& node, int sign);
  void accrue_usage(Time until);
  void apply_claim(const HeldClaim& claim, int sign, NodeId only = {});
  void touch(NodeId id);

  void place(TaskId id, const Placement& placement, TaskPhase phase);
  void vacate(TaskId id);
  void release(TaskId id, std::string_view beneficiary, Time by);
  void drop_claim(GangId gang);
  void drop_member_claim(TaskId id);
  bool claimed_from(NodeId id) const;
  void leave_gang(TaskId id);

  NodeId ensure_node(std::string_view name);
  void free_node_if_unused(NodeId id);
  GangId ensure_gang(std::string_view name);
  void free_gang_if_unused(GangId id);
  QueueId queue_for(std::string_view name) const;
  void join_queue(GangId gang, std::string_view queue);
  void move_gang(GangId gang, QueueId queue);
  void link_queues();
  void refresh_masks();
  AcceleratorId accelerator(NameId model, NameId resource);
  int64_t weight_of(const Accelerator& accelerator) const;
  DeviceSet resolve_devices(Node& node, NameId resource, std::span<const std::string> ids);
  LabelSetId intern_labels(std::span<const std::pair<std::string, std::string>> labels);

  Time now_;
  PolicySet policy_;
  NameTable names_;

  std::vector<Node> nodes_;
  std::vector<NodeId> free_nodes_;
  size_t alive_nodes_ = 0;
  std::vector<Task> tasks_;
  std::vector<TaskId> free_tasks_;
  std::vector<Gang> gangs_;
  std::vector<GangId> free_gangs_;
  std::vector<uint64_t> open_gangs_;  // a bit a gang
  std::vector<Queue> queues_;
  std::vector<QueueId> free_queues_;
  std::vector<std::string> wanted_parents_;  // by queue: parents arrive in any order
  uint64_t next_sequence_ = 1;

  NameIndex<NodeId> node_ids_;
  NameIndex<TaskId> task_ids_;
  NameIndex<GangId> gang_ids_;
  NameIndex<QueueId> queue_ids_;

  std::vector<Shape> shapes_;
  std::vector<uint32_t> tasks_of_shape_;
  std::unordered_multimap<uint64_t, ShapeId> shape_ids_;
  std::vector<std::vector<Label>> label_sets_;
  std::unordered_multimap<uint64_t, LabelSetId> label_set_ids_;

  std::vector<Accelerator> accelerators_;
  Usage capacity_;
  std::vector<HeldClaim> claims_;
  std::vector<DisruptionBudget> disruption_budgets_;
  DurationMemory durations_;
  Time round_begun_;

  std::vector<NodeId> changes_;
  uint64_t change_base_ = 0;

  std::vector<Undo> undo_;
  std::vector<HeldClaim> undo_claims_;          // of kUnclaim, in the same order
  std::vector<std::string> undo_released_for_;  // of kTask, where not empty
  int trials_ = 0;
};

}  // namespace berth::core
