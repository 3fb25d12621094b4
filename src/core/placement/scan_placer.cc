#include "core/placement/scan_placer.h"

#include <algorithm>

#include "core/placement/constraints/feasibility.h"
#include "core/placement/devices.h"
#include "core/placement/preference.h"

namespace berth::core {
namespace {

int64_t permille(int64_t used, int64_t capacity) {
  return capacity <= 0 ? 0
                       : static_cast<int64_t>(static_cast<double>(used) * 1000.0 /
                                              static_cast<double>(capacity));
}

int64_t device_permille(const Shape& shape, const Node& node, DeviceSet devices) {
  const NameId resource = shape.devices.resource;
  int64_t used = 0;
  int64_t capacity = 0;
  for (const Device& device : node.devices) {
    if (device.resource != resource) continue;
    capacity += 1000;
    used += device.used_milli;
  }
  for_each_device(devices,
                  [&](size_t i) { used += share_on(shape.devices, node.devices[i]).milli; });
  for (const CountedResource& row : node.counted) {
    if (row.resource != resource) continue;
    capacity += row.capacity * 1000;
    used += (row.used + shape.devices.count) * 1000;
  }
  return permille(used, capacity);
}

int64_t fullness(const Shape& shape, const Node& node, DeviceSet devices) {
  int64_t most = 0;
  if (shape.request.cpu_milli > 0)
    most = std::max(
        most, permille(node.used.cpu_milli + shape.request.cpu_milli, node.capacity.cpu_milli));
  if (shape.request.memory_bytes > 0)
    most = std::max(most, permille(node.used.memory_bytes + shape.request.memory_bytes,
                                   node.capacity.memory_bytes));
  if (shape.devices.count > 0) return device_permille(shape, node, devices) * 1024 + most;
  return most * 1024 + permille(node.used.pods, node.capacity.pods);
}

int64_t measured(const Shape& shape, const Node& node) {
  if (shape.devices.count > 0 && node.measured_device_permille >= 0)
    return node.measured_device_permille;
  return std::max(node.measured_cpu_permille, node.measured_memory_permille);
}

}  // namespace

std::optional<Placement> ScanPlacer::place(const State& state, const PlaceQuery& query) {
  const Feasibility feasible(state, query);
  const Shape& shape = state.shape_of(query.task);
  std::optional<Placement> best;
  std::pair<int64_t, int64_t> best_score;
  for (size_t i = 0; i < state.nodes().size(); ++i) {
    const Node& node = state.nodes()[i];
    if (!node.alive || feasible.rejects(node)) continue;
    const auto devices = choose_devices(shape.devices, node, query.accelerators);
    if (!devices) continue;
    int64_t score = fullness(shape, node, *devices);
    if (order_ == NodeOrder::kLeastUsed && measured(shape, node) >= 0)
      score = (score + measured(shape, node) * 1024) / 2;
    if (order_ != NodeOrder::kPack) score = -score;
    const std::pair candidate(preference(state, shape, node), score);
    if (!best || candidate > best_score) {
      best = Placement{query.task, NodeId{static_cast<uint32_t>(i)}, *devices};
      best_score = candidate;
    }
  }
  return best;
}

}  // namespace berth::core
