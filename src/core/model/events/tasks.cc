// How tasks come, get their place from what objects say, and go.

#include <algorithm>

#include "core/model/slots.h"
#include "core/model/undo.h"

namespace berth::core {

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
    task_ids_.insert(event.name, id);
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
  if (!fresh && task.managed) --tasks_of_shape_[task.shape.index()];
  if (event.managed) ++tasks_of_shape_[shape.index()];
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
  task.owner = event.owner.empty() ? NameId{} : names_.intern(event.owner);
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
    gang.growth_micro = event.growth_micro;
    gang.created = event.created;
    gang.min = gang.max = 1;
    join_queue(task.gang, event.queue);
    review(task.gang);
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
  review(gang);
  tasks_[id.index()].gang = {};
  free_gang_if_unused(gang);
}

void State::on(const TaskRemove& event) {
  const TaskId id = find_task(event.name);
  if (!id.valid()) return;
  detach(id);
  const Task& task = tasks_[id.index()];
  const NodeId node = task.node;
  // Members of a gang take equally long: one speaks for all.
  const bool speaks = !task.gang.valid() || gangs_[task.gang.index()].tasks.front() == id;
  if (event.completed && speaks && task.owner.valid() && task.started.ns != 0) {
    const QueueId queue = task.gang.valid() ? gangs_[task.gang.index()].queue : QueueId{};
    durations_.add(names_.text(task.owner), queue.valid() ? queues_[queue.index()].name : "",
                   now_ - task.started);
  }
  if (task.managed) --tasks_of_shape_[task.shape.index()];
  tasks_[id.index()].phase = TaskPhase::kGone;
  leave_gang(id);
  task_ids_.erase(event.name, id);
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

}  // namespace berth::core
