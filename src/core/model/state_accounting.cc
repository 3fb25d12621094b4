// What tasks and claims hold of nodes, and charge to queues.

#include <algorithm>

#include "core/model/undo.h"

namespace berth::core {
namespace {

template <class T>
void insert_sorted(std::vector<T>& list, T item) {
  list.insert(std::lower_bound(list.begin(), list.end(), item), item);
}

template <class T>
void erase_sorted(std::vector<T>& list, T item) {
  const auto at = std::lower_bound(list.begin(), list.end(), item);
  if (at != list.end() && *at == item) list.erase(at);
}

void add(Resources& to, const Resources& amount, int sign) {
  if (sign > 0) to += amount;
  if (sign < 0) to -= amount;
}

/// The row that `task`'s devices come out of where the node only counts them.
CountedResource* counted_row(Node& node, NameId resource) {
  const auto at = std::find_if(node.counted.begin(), node.counted.end(),
                               [&](const CountedResource& c) { return c.resource == resource; });
  return at == node.counted.end() ? nullptr : &*at;
}

}  // namespace

Charge State::charge_of(const Shape& shape, const Node& node, DeviceSet devices) const {
  Charge charge{shape.request.cpu_milli, shape.request.memory_bytes, {}, 0};
  const DeviceRequest& request = shape.devices;
  if (request.count == 0) return charge;
  for_each_device(devices, [&](size_t index) {
    const Device& device = node.devices[index];
    const DeviceShare share = share_on(request, device);
    // The larger of the compute and the memory fraction.
    int64_t milli = share.milli;
    if (device.memory_bytes > 0)
      milli = std::max(milli, (share.memory_bytes / 1024 * 1000 + device.memory_bytes / 1024 - 1) /
                                  std::max<int64_t>(1, device.memory_bytes / 1024));
    charge.accelerator_milli += std::min<int64_t>(milli, 1000);
    if (!charge.accelerator.valid()) charge.accelerator = device.accelerator;
  });
  if (devices != 0) return charge;
  for (const CountedResource& row : node.counted) {
    if (row.resource != request.resource || !row.accelerator.valid()) continue;
    charge.accelerator = row.accelerator;
    charge.accelerator_milli = int64_t{request.count} * 1000;
  }
  return charge;
}

void State::charge(QueueId queue, Usage Queue::* which, const Charge& charge, int sign) {
  for (; queue.valid(); queue = queues_[queue.index()].parent) {
    Usage& usage = queues_[queue.index()].*which;
    usage.cpu_milli += sign * charge.cpu_milli;
    usage.memory_bytes += sign * charge.memory_bytes;
    if (charge.accelerator.valid())
      usage.accelerator_milli[charge.accelerator.index()] += sign * charge.accelerator_milli;
  }
}

void State::add_use(const Task& task, int sign) {
  Node& node = nodes_[task.node.index()];
  const Shape& shape = shapes_[task.shape.index()];
  add(node.used, shape.request, sign);
  for_each_device(task.devices, [&](size_t index) {
    Device& device = node.devices[index];
    const DeviceShare share = share_on(shape.devices, device);
    device.used_milli = static_cast<uint16_t>(device.used_milli + sign * share.milli);
    device.used_memory_bytes += sign * share.memory_bytes;
  });
  if (task.devices == 0 && shape.devices.count > 0)
    if (CountedResource* row = counted_row(node, shape.devices.resource))
      row->used += sign * int64_t{shape.devices.count};
  for (const auto& request : shape.counted)
    if (CountedResource* row = counted_row(node, request.resource))
      row->used += sign * request.amount;
}

void State::add_releasing(const Task& task, int sign) {
  Node& node = nodes_[task.node.index()];
  const Shape& shape = shapes_[task.shape.index()];
  add(node.releasing, shape.request, sign);
  if (task.devices == 0 && shape.devices.count > 0)
    if (CountedResource* row = counted_row(node, shape.devices.resource))
      row->releasing += sign * int64_t{shape.devices.count};
  for (const auto& request : shape.counted)
    if (CountedResource* row = counted_row(node, request.resource))
      row->releasing += sign * request.amount;
  if (task.gang.valid())
    charge(gangs_[task.gang.index()].queue, &Queue::releasing,
           {shape.request.cpu_milli, shape.request.memory_bytes, task.charged_accelerator,
            task.charged_milli},
           sign);
}

void State::add_pending(const Task& task, int sign) {
  if (!task.gang.valid() || task.gated) return;
  const Shape& shape = shapes_[task.shape.index()];
  // The kind, and with it the share of a request by memory, is not known yet: at most whole.
  const int64_t milli = shape.devices.milli == 0 ? 1000 : shape.devices.milli;
  for (QueueId id = gangs_[task.gang.index()].queue; id.valid(); id = queues_[id.index()].parent) {
    Queue& queue = queues_[id.index()];
    queue.pending_cpu_milli += sign * shape.request.cpu_milli;
    queue.pending_memory_bytes += sign * shape.request.memory_bytes;
    queue.pending_device_milli += sign * int64_t{shape.devices.count} * milli;
    queue.pending_tasks += static_cast<uint32_t>(sign);
  }
}

void State::count_member(const Task& task, int sign) {
  if (!task.gang.valid() || task.phase >= TaskPhase::kReleasing) return;
  Gang& gang = gangs_[task.gang.index()];
  uint32_t& count = task.phase != TaskPhase::kPending ? gang.running
                    : task.gated                      ? gang.gated
                                                      : gang.waiting;
  count += static_cast<uint32_t>(sign);
  review(task.gang);
}

void State::review(GangId id) {
  const uint64_t bit = uint64_t{1} << id.index() % 64;
  uint64_t& word = open_gangs_[id.index() / 64];
  word = gangs_[id.index()].open() ? word | bit : word & ~bit;
}

void State::attach(TaskId id) {
  Task& task = tasks_[id.index()];
  count_member(task, +1);
  if (task.phase == TaskPhase::kPending) {
    add_pending(task, +1);
    return;
  }
  if (!task.holds_place()) return;
  Node& node = nodes_[task.node.index()];
  const Shape& shape = shapes_[task.shape.index()];
  add_use(task, +1);
  const Charge amount = charge_of(shape, node, task.devices);
  task.charged_accelerator = amount.accelerator;
  task.charged_milli = static_cast<uint32_t>(amount.accelerator_milli);
  if (task.gang.valid()) {
    const QueueId queue = gangs_[task.gang.index()].queue;
    charge(queue, &Queue::used, amount, +1);
    if (!task.preemptible) charge(queue, &Queue::non_preemptible, amount, +1);
  }
  if (task.phase == TaskPhase::kReleasing) add_releasing(task, +1);
  insert_sorted(node.tasks, id);
  touch(task.node);
}

void State::detach(TaskId id) {
  Task& task = tasks_[id.index()];
  count_member(task, -1);
  if (task.phase == TaskPhase::kPending) {
    add_pending(task, -1);
    return;
  }
  if (!task.holds_place()) return;
  Node& node = nodes_[task.node.index()];
  const Shape& shape = shapes_[task.shape.index()];
  if (task.phase == TaskPhase::kReleasing) add_releasing(task, -1);
  add_use(task, -1);
  if (task.gang.valid()) {
    const Charge amount{shape.request.cpu_milli, shape.request.memory_bytes,
                        task.charged_accelerator, task.charged_milli};
    const QueueId queue = gangs_[task.gang.index()].queue;
    charge(queue, &Queue::used, amount, -1);
    if (!task.preemptible) charge(queue, &Queue::non_preemptible, amount, -1);
  }
  task.charged_accelerator = {};
  task.charged_milli = 0;
  erase_sorted(node.tasks, id);
  touch(task.node);
}

void State::add_capacity(const Node& node, int sign) {
  if (!node.alive || !node.ready || node.unschedulable) return;
  capacity_.cpu_milli += sign * node.capacity.cpu_milli;
  capacity_.memory_bytes += sign * node.capacity.memory_bytes;
  for (const Device& device : node.devices)
    if (device.healthy && !device.busy)
      capacity_.accelerator_milli[device.accelerator.index()] += int64_t{sign} * 1000;
  for (const CountedResource& row : node.counted)
    if (row.accelerator.valid())
      capacity_.accelerator_milli[row.accelerator.index()] += sign * row.capacity * 1000;
}

void State::apply_claim(const HeldClaim& claim, int sign, NodeId only) {
  for (const Placement& member : claim.members) {
    if (only.valid() && member.node != only) continue;
    Node& node = nodes_[member.node.index()];
    const Shape& shape = shapes_[tasks_[member.task.index()].shape.index()];
    if (!claim.lifted) {
      add(node.claimed, shape.request, sign);
      for_each_device(member.devices, [&](size_t index) {
        Device& device = node.devices[index];
        device.claims = static_cast<uint16_t>(device.claims + sign);
      });
      if (member.devices == 0 && shape.devices.count > 0)
        if (CountedResource* row = counted_row(node, shape.devices.resource))
          row->claimed += sign * int64_t{shape.devices.count};
      for (const auto& request : shape.counted)
        if (CountedResource* row = counted_row(node, request.resource))
          row->claimed += sign * request.amount;
      if (!claim.reservation)
        charge(gangs_[claim.gang.index()].queue, &Queue::claimed,
               charge_of(shape, node, member.devices), sign);
      touch(member.node);
    }
  }
}

void State::place(TaskId id, const Placement& placement, TaskPhase phase) {
  detach(id);
  Task& task = tasks_[id.index()];
  task.phase = phase;
  task.node = placement.node;
  task.devices = placement.devices;
  attach(id);
}

void State::vacate(TaskId id) {
  detach(id);
  Task& task = tasks_[id.index()];
  const NodeId node = task.node;
  task.phase = TaskPhase::kPending;
  task.node = {};
  task.devices = 0;
  task.backfilled = false;
  task.released_for.clear();
  task.release_by = {};
  task.started = {};
  attach(id);
  if (node.valid() && trials_ == 0) free_node_if_unused(node);
}

void State::release(TaskId id, std::string_view beneficiary, Time by) {
  Task& task = tasks_[id.index()];
  if (!task.holds_place()) return;
  if (task.phase != TaskPhase::kReleasing) {
    count_member(task, -1);
    task.phase = TaskPhase::kReleasing;
    add_releasing(task, +1);
    touch(task.node);
  }
  task.released_for = beneficiary;
  task.release_by = by;
}

}  // namespace berth::core
