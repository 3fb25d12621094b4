// How nodes come, change, go, and are measured.

#include <algorithm>

#include "core/model/slots.h"
#include "core/model/undo.h"

namespace berth::core {

NodeId State::ensure_node(std::string_view name) {
  if (const NodeId known = find_node(name); known.valid()) return known;
  const NodeId id = take_slot(nodes_, free_nodes_);
  nodes_[id.index()].name = name;
  node_ids_.insert(name, id);
  return id;
}

void State::free_node_if_unused(NodeId id) {
  Node& node = nodes_[id.index()];
  if (node.alive || !node.tasks.empty()) return;
  if (claimed_from(id)) return;
  if (!node_ids_.erase(node.name, id)) return;
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

}  // namespace berth::core
