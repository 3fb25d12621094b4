// How each event changes State.

#include <algorithm>

#include "core/model/undo.h"

namespace berth::core {
namespace {

template <class Id, class Item>
Id take_slot(std::vector<Item>& items, std::vector<Id>& free) {
  if (!free.empty()) {
    const Id id = free.back();
    free.pop_back();
    items[id.index()] = Item{};
    return id;
  }
  items.emplace_back();
  return Id{static_cast<uint32_t>(items.size() - 1)};
}

}  // namespace

void State::on(const Tick& event) {
  now_ = std::max(now_, event.now);
}

// --- nodes ---

NodeId State::ensure_node(std::string_view name) {
  if (const NodeId known = find_node(name); known.valid()) return known;
  const NodeId id = take_slot(nodes_, free_nodes_);
  nodes_[id.index()].name = name;
  node_ids_.emplace(name, id);
  return id;
}

void State::free_node_if_unused(NodeId id) {
  Node& node = nodes_[id.index()];
  if (node.alive || !node.tasks.empty()) return;
  if (claimed_from(id)) return;
  if (node_ids_.erase(node.name) == 0) return;
  node = Node{};
  free_nodes_.push_back(id);
}

bool State::claimed_from(NodeId id) const {
  return std::any_of(claims_.begin(), claims_.end(), [&](const HeldClaim& claim) {
    return std::any_of(claim.members.begin(), claim.members.end(),
                       [&](const Placement& member) { return member.node == id; });
  });
}

void State::on(const NodeUpsert& event) {
  const NodeId id = ensure_node(event.name);
  const std::vector<TaskId> tasks = nodes_[id.index()].tasks;
  for (const HeldClaim& claim : claims_) apply_claim(claim, -1, id);
  for (TaskId task : tasks) detach(task);
  add_capacity(nodes_[id.index()], -1);

  // Interning may add an accelerator, but moves no node.
  Node& node = nodes_[id.index()];
  if (!node.alive) ++alive_nodes_;
  node.alive = true;
  node.ready = event.ready;
  node.unschedulable = event.unschedulable;
  node.capacity = event.capacity;
  node.labels.clear();
  for (const auto& [key, value] : event.labels)
    node.labels.push_back({names_.intern(key), names_.intern(value)});
  std::sort(node.labels.begin(), node.labels.end());
  node.taints.clear();
  for (const auto& taint : event.taints) node.taints.push_back(core::intern(taint, names_));

  // Tasks refer to devices by index: an index keeps its meaning as long as anyone uses the node.
  if (tasks.empty() && !claimed_from(id)) node.devices.clear();
  for (Device& device : node.devices) device.healthy = false;
  for (const DeviceSpec& spec : event.devices) {
    const NameId name = names_.intern(spec.id);
    const NameId resource = names_.intern(spec.resource);
    auto at = std::find_if(node.devices.begin(), node.devices.end(),
                           [&](const Device& d) { return d.id == name && d.resource == resource; });
    if (at == node.devices.end()) {
      if (node.devices.size() == kMaxDevicesPerNode) continue;
      node.devices.push_back({.id = name, .resource = resource});
      at = std::prev(node.devices.end());
    }
    at->model = spec.model.empty() ? NameId{} : names_.intern(spec.model);
    at->link_domain = spec.link_domain.empty() ? NameId{} : names_.intern(spec.link_domain);
    at->memory_bytes = spec.memory_bytes;
    at->numa = spec.numa;
    at->healthy = spec.healthy;
    at->busy = spec.busy;
    at->accelerator = accelerator(at->model, resource);
  }
  node.counted.clear();
  for (const CountedSpec& spec : event.counted) {
    const NameId resource = names_.intern(spec.resource);
    const NameId model = spec.model.empty() ? NameId{} : names_.intern(spec.model);
    node.counted.push_back(
        {.resource = resource,
         .model = model,
         .accelerator = spec.accelerator ? accelerator(model, resource) : AcceleratorId{},
         .capacity = spec.capacity});
  }

  add_capacity(node, +1);
  for (TaskId task : tasks) attach(task);
  for (const HeldClaim& claim : claims_) apply_claim(claim, +1, id);
  touch(id);
}

void State::on(const NodeRemove& event) {
  const NodeId id = find_node(event.name);
  if (!id.valid() || !nodes_[id.index()].alive) return;
  Node& node = nodes_[id.index()];
  add_capacity(node, -1);
  node.alive = false;
  node.ready = false;
  --alive_nodes_;
  touch(id);
  std::vector<GangId> claimants;
  for (const HeldClaim& claim : claims_)
    for (const Placement& member : claim.members)
      if (member.node == id) claimants.push_back(claim.gang);
  for (GangId gang : claimants) drop_claim(gang);
  // It keeps its slot while tasks are still known to be there.
  free_node_if_unused(id);
}

void State::on(const UsageWindow& event) {
  for (const NodeSample& sample : event.samples) {
    const NodeId id = find_node(sample.node);
    if (!id.valid()) continue;
    Node& node = nodes_[id.index()];
    node.measured_cpu_permille = sample.cpu_permille;
    node.measured_memory_permille = sample.memory_permille;
    node.measured_device_permille = sample.device_permille;
    touch(id);
  }
}

// --- queues ---

void State::on(const QueueUpsert& event) {
  QueueId id = find_queue(event.name);
  if (!id.valid()) {
    id = take_slot(queues_, free_queues_);
    queue_ids_.emplace(event.name, id);
    wanted_parents_.resize(queues_.size());
  }
  Queue& queue = queues_[id.index()];
  queue.name = event.name;
  queue.alive = true;
  queue.weight_milli = std::max<int64_t>(1, event.weight_milli);
  const auto quota = [&](const QuotaSpec& spec) {
    Quota kept{spec.cpu_milli, spec.memory_bytes, {}};
    for (const auto& row : spec.accelerators)
      kept.accelerators.push_back({names_.intern(row.key), row.milli, 0});
    return kept;
  };
  queue.guaranteed = quota(event.guaranteed);
  queue.limit = quota(event.limit);
  queue.reclaim = event.reclaim;
  queue.times = event.times;
  wanted_parents_[id.index()] = event.parent;
  link_queues();
  refresh_masks();
}

void State::on(const QueueRemove& event) {
  const QueueId id = find_queue(event.name);
  if (!id.valid()) return;
  queue_ids_.erase(event.name);
  queues_[id.index()].alive = false;
  wanted_parents_[id.index()].clear();
  link_queues();
  queues_[id.index()] = Queue{};
  free_queues_.push_back(id);
}

QueueId State::queue_for(std::string_view name) const {
  const QueueId id = find_queue(name);
  return id.valid() && queues_[id.index()].children.empty() ? id : QueueId{};
}

// Rebuilds the tree and puts every gang into the queue that it wants. Queues change rarely.
void State::link_queues() {
  std::vector<GangId> gangs;
  for (size_t i = 0; i < gangs_.size(); ++i)
    if (gangs_[i].alive) {
      gangs.push_back(GangId{static_cast<uint32_t>(i)});
      move_gang(gangs.back(), QueueId{});
    }
  for (Queue& queue : queues_) {
    queue.parent = {};
    queue.depth = 0;
    queue.children.clear();
  }
  for (size_t i = 0; i < queues_.size(); ++i)
    if (queues_[i].alive) queues_[i].parent = find_queue(wanted_parents_[i]);
  for (size_t i = 0; i < queues_.size(); ++i) {
    // A cycle is broken at the queue that is looked at first: it counts as a root.
    QueueId at = queues_[i].parent;
    uint32_t depth = 0;
    while (at.valid() && at.index() != i && depth <= queues_.size()) {
      at = queues_[at.index()].parent;
      ++depth;
    }
    if (at.valid()) queues_[i].parent = {};
  }
  for (size_t i = 0; i < queues_.size(); ++i) {
    const QueueId id{static_cast<uint32_t>(i)};
    for (QueueId at = queues_[i].parent; at.valid(); at = queues_[at.index()].parent)
      ++queues_[i].depth;
    if (queues_[i].parent.valid()) queues_[queues_[i].parent.index()].children.push_back(id);
  }
  for (Queue& queue : queues_)
    std::sort(queue.children.begin(), queue.children.end(), [&](QueueId a, QueueId b) {
      return queues_[a.index()].name < queues_[b.index()].name;
    });
  for (GangId gang : gangs) move_gang(gang, queue_for(wanted_queues_[gang.index()]));
}

void State::refresh_masks() {
  const auto refresh = [&](Quota& quota) {
    for (auto& row : quota.accelerators) {
      row.mask = 0;
      const std::string_view key = names_.text(row.key);
      for (size_t i = 0; i < accelerators_.size(); ++i) {
        bool member = key == "*";
        for (size_t from = 0; !member && from <= key.size();) {
          const size_t bar = std::min(key.find('|', from), key.size());
          const std::string_view part = key.substr(from, bar - from);
          member = part == names_.text(accelerators_[i].name) ||
                   part == names_.text(accelerators_[i].resource);
          from = bar + 1;
        }
        if (member) row.mask |= AcceleratorMask{1} << i;
      }
    }
  };
  for (Queue& queue : queues_) {
    refresh(queue.guaranteed);
    refresh(queue.limit);
  }
}

// --- gangs ---

GangId State::ensure_gang(std::string_view name) {
  if (const GangId known = find_gang(name); known.valid()) return known;
  const GangId id = take_slot(gangs_, free_gangs_);
  wanted_queues_.resize(gangs_.size());
  wanted_queues_[id.index()].clear();
  Gang& gang = gangs_[id.index()];
  gang.name = name;
  gang.alive = true;
  gang.min = gang.max = kUndeclared;
  gang.sequence = next_sequence_++;
  gang_ids_.emplace(name, id);
  return id;
}

void State::free_gang_if_unused(GangId id) {
  Gang& gang = gangs_[id.index()];
  if (gang.declared || !gang.tasks.empty()) return;
  drop_claim(id);
  move_gang(id, QueueId{});
  gang_ids_.erase(gang.name);
  gang = Gang{};
  free_gangs_.push_back(id);
}

void State::move_gang(GangId id, QueueId to) {
  Gang& gang = gangs_[id.index()];
  if (gang.queue == to) return;
  const auto claim = std::find_if(claims_.begin(), claims_.end(),
                                  [&](const HeldClaim& c) { return c.gang == id; });
  if (claim != claims_.end()) apply_claim(*claim, -1);
  for (TaskId task : gang.tasks) detach(task);
  if (gang.queue.valid()) {
    std::vector<GangId>& list = queues_[gang.queue.index()].gangs;
    list.erase(std::lower_bound(list.begin(), list.end(), id));
  }
  gang.queue = to;
  if (to.valid()) {
    std::vector<GangId>& list = queues_[to.index()].gangs;
    list.insert(std::lower_bound(list.begin(), list.end(), id), id);
  }
  for (TaskId task : gang.tasks) attach(task);
  if (claim != claims_.end()) apply_claim(*claim, +1);
}

void State::join_queue(GangId id, std::string_view name) {
  wanted_queues_[id.index()] = name;
  move_gang(id, queue_for(name));
}

void State::on(const GangUpsert& event) {
  const GangId id = ensure_gang(event.name);
  Gang& gang = gangs_[id.index()];
  gang.declared = true;
  gang.priority = event.priority;
  gang.min = std::max(1u, event.min);
  gang.max = std::max(gang.min, event.max);
  gang.topology_key = event.topology_key.empty() ? NameId{} : names_.intern(event.topology_key);
  gang.topology_required = event.topology_required;
  gang.created = event.created;
  gang.deadline = event.timeout.ns > 0 ? event.created + event.timeout : Time{};
  join_queue(id, event.queue);
}

void State::on(const GangRemove& event) {
  const GangId id = find_gang(event.name);
  if (!id.valid()) return;
  gangs_[id.index()].declared = false;
  gangs_[id.index()].min = kUndeclared;
  gangs_[id.index()].intent.clear();
  drop_claim(id);
  free_gang_if_unused(id);
}

// --- tasks ---

DeviceSet State::resolve_devices(Node& node, NameId resource, std::span<const std::string> ids) {
  DeviceSet set = 0;
  for (const std::string& id : ids) {
    const NameId name = names_.intern(id);
    auto at = std::find_if(node.devices.begin(), node.devices.end(),
                           [&](const Device& d) { return d.id == name && d.resource == resource; });
    if (at == node.devices.end()) {
      if (node.devices.size() == kMaxDevicesPerNode) continue;
      // The node does not report it (yet, or any more), but somebody holds it.
      node.devices.push_back({.id = name,
                              .resource = resource,
                              .accelerator = accelerator(NameId{}, resource),
                              .healthy = false});
      at = std::prev(node.devices.end());
    }
    set |= device_bit(static_cast<size_t>(at - node.devices.begin()));
  }
  return set;
}

void State::on(const TaskUpsert& event) {
  TaskId id = find_task(event.name);
  const bool fresh = !id.valid();
  if (fresh) {
    id = take_slot(tasks_, free_tasks_);
    Task& task = tasks_[id.index()];
    task.name = event.name;
    task.phase = TaskPhase::kPending;
    task.sequence = next_sequence_++;
    task_ids_.emplace(event.name, id);
  } else {
    detach(id);
  }

  const ShapeId shape = intern(event.shape);
  const std::string& wanted = event.gang.empty() ? event.name : event.gang;
  // A claim keeps a place for each member by its shape.
  if (!fresh &&
      (shape != tasks_[id.index()].shape || ensure_gang(wanted) != tasks_[id.index()].gang))
    drop_member_claim(id);

  Task& task = tasks_[id.index()];
  task.managed = event.managed;
  task.gated = event.gated;
  task.preemptible = event.preemptible;
  task.restartable = event.restartable;
  task.priority = event.priority;
  task.shape = shape;
  task.grace = event.grace;
  task.labels = intern_labels(event.labels);
  task.ns = names_.intern(event.ns);
  task.created = event.created;
  task.expected_duration = event.expected_duration;
  task.last_checkpoint = std::max(task.last_checkpoint, event.last_checkpoint);

  const GangId before = task.gang;
  if (!event.managed) {
    task.gang = {};
  } else {
    task.gang = ensure_gang(wanted);
  }
  if (task.gang != before) {
    if (before.valid()) {
      std::erase(gangs_[before.index()].tasks, id);
      free_gang_if_unused(before);
    }
    if (task.gang.valid()) {
      std::vector<TaskId>& members = gangs_[task.gang.index()].tasks;
      members.insert(std::lower_bound(members.begin(), members.end(), id,
                                      [&](TaskId a, TaskId b) {
                                        return tasks_[a.index()].sequence <
                                               tasks_[b.index()].sequence;
                                      }),
                     id);
    }
  }

  // The place: what objects say wins over what was assumed, except that an older view of the pod
  // may not have the binding yet.
  const bool was_held = task.holds_place();
  if (!event.node.empty()) {
    const NodeId node = ensure_node(event.node);
    task.devices = resolve_devices(nodes_[node.index()],
                                   shapes_[task.shape.index()].devices.resource, event.devices);
    task.node = node;
    task.phase = event.phase;
    // Told to stop by a plan, but not yet so in the object.
    if (was_held && task.release_by.ns != 0 && event.phase < TaskPhase::kReleasing)
      task.phase = TaskPhase::kReleasing;
    if (event.started.ns != 0) task.started = event.started;
    if (!was_held) task.backfilled = event.backfilled;
    if (event.release_by.ns != 0) task.release_by = event.release_by;
    if (!event.released_for.empty()) task.released_for = event.released_for;
  } else if (!was_held) {
    task.phase = TaskPhase::kPending;
  }
  attach(id);

  if (task.gang.valid() && event.gang.empty()) {
    Gang& gang = gangs_[task.gang.index()];
    gang.priority = event.priority;
    gang.created = event.created;
    gang.min = gang.max = 1;
    join_queue(task.gang, event.queue);
  }
}

void State::leave_gang(TaskId id) {
  const GangId gang = tasks_[id.index()].gang;
  if (!gang.valid()) return;
  drop_member_claim(id);
  std::erase(gangs_[gang.index()].tasks, id);
  std::vector<Placement>& intent = gangs_[gang.index()].intent;
  std::erase_if(intent, [&](const Placement& p) { return p.task == id; });
  if (intent.empty()) gangs_[gang.index()].plan = 0;
  tasks_[id.index()].gang = {};
  free_gang_if_unused(gang);
}

void State::on(const TaskRemove& event) {
  const TaskId id = find_task(event.name);
  if (!id.valid()) return;
  detach(id);
  const NodeId node = tasks_[id.index()].node;
  tasks_[id.index()].phase = TaskPhase::kGone;
  leave_gang(id);
  task_ids_.erase(event.name);
  tasks_[id.index()] = Task{};
  free_tasks_.push_back(id);
  if (node.valid()) free_node_if_unused(node);
}

void State::on(const BindDone& event) {
  const TaskId id = find_task(event.task);
  if (!id.valid() || tasks_[id.index()].phase != TaskPhase::kAssumed) return;
  if (event.ok)
    tasks_[id.index()].phase = TaskPhase::kBound;
  else
    vacate(id);
}

// --- configuration and plans ---

void State::on(const PolicySet& event) {
  policy_ = event;
  for (Accelerator& accelerator : accelerators_) {
    accelerator.weight_milli = 1000;
    for (const auto& [key, weight] : event.accelerator_weights_milli)
      if (names_.text(accelerator.name) == key) accelerator.weight_milli = weight;
  }
}

void State::on(const PlanCommit& event) {
  for (const Action& action : event.actions)
    std::visit([&](const auto& a) { on_action(a, event.plan); }, action);
}

void State::on_action(const Bind& action, uint64_t) {
  const std::optional<Placement> placement = resolve(action.place);
  if (!placement || tasks_[placement->task.index()].phase != TaskPhase::kPending) return;
  place(placement->task, *placement, TaskPhase::kAssumed);
  Task& task = tasks_[placement->task.index()];
  task.started = now_;
  task.backfilled = action.backfilled;
}

void State::on_action(const Evict& action, uint64_t) {
  const TaskId id = find_task(action.task);
  if (id.valid()) release(id, action.beneficiary, now_ + tasks_[id.index()].grace);
}

void State::on_action(const PersistIntent& action, uint64_t) {
  const GangId id = find_gang(action.gang);
  if (!id.valid()) return;
  Gang& gang = gangs_[id.index()];
  gang.plan = action.plan;
  gang.intent.clear();
  for (const PlaceSpec& member : action.members)
    if (const auto placement = resolve(member)) gang.intent.push_back(*placement);
}

void State::on_action(const ClearIntent& action, uint64_t) {
  const GangId id = find_gang(action.gang);
  if (!id.valid()) return;
  gangs_[id.index()].intent.clear();
  gangs_[id.index()].plan = 0;
}

void State::on_action(const Claim& action, uint64_t) {
  HeldClaim claim{find_gang(action.gang), action.reservation, {},
                  action.expires,         action.start,       false};
  if (!claim.gang.valid()) return;
  drop_claim(claim.gang);
  for (const PlaceSpec& member : action.members)
    if (const auto placement = resolve(member)) claim.members.push_back(*placement);
  if (claim.members.empty()) return;
  apply_claim(claim, +1);
  claims_.push_back(std::move(claim));
}

void State::on_action(const Unclaim& action, uint64_t) {
  if (const GangId id = find_gang(action.gang); id.valid()) drop_claim(id);
}

void State::on_action(const MarkBlocked& action, uint64_t) {
  if (const GangId id = find_gang(action.gang); id.valid())
    gangs_[id.index()].blocked = action.since.value_or(Time{});
}

void State::on_action(const MarkBroken& action, uint64_t) {
  if (const GangId id = find_gang(action.gang); id.valid())
    gangs_[id.index()].below_min_since = action.since.value_or(Time{});
}

void State::drop_claim(GangId gang) {
  const auto at = std::find_if(claims_.begin(), claims_.end(),
                               [&](const HeldClaim& claim) { return claim.gang == gang; });
  if (at == claims_.end()) return;
  apply_claim(*at, -1);
  claims_.erase(at);
}

void State::drop_member_claim(TaskId id) {
  const GangId gang = tasks_[id.index()].gang;
  for (HeldClaim& claim : claims_) {
    if (claim.gang != gang) continue;
    for (const Placement& member : claim.members)
      if (member.task == id) return drop_claim(gang);
  }
}

}  // namespace berth::core
