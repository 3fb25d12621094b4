#include "core/placement/index_placer.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/placement/devices.h"
#include "core/placement/preference.h"

namespace berth::core {
namespace {

constexpr size_t kMostIndexes = 512;
constexpr uint32_t kNoNode = ~uint32_t{0};
constexpr int kTypicalSharePercent = 95;
constexpr int kBroadSharePercent = 98;

size_t device_count(const Node& node) {
  size_t count = node.devices.size();
  if (node.named()) return std::min(count, kMaxDevicesPerNode);
  for (const CountedResource& row : node.counted) {
    if (row.accelerator.valid()) count += static_cast<size_t>(std::max<int64_t>(row.capacity, 0));
  }
  return std::min(count, kMaxDevicesPerNode);
}

int model_of(AcceleratorId kind) {
  return static_cast<int>(kind.index() % kMaxAccelerators);
}

/// The kind of the first device; nodes with several kinds are scored as having that one.
int model_of(const Node& node) {
  if (node.named()) return model_of(node.devices.front().accelerator);
  for (const CountedResource& row : node.counted) {
    if (row.accelerator.valid()) return model_of(row.accelerator);
  }
  return 0;
}

void copy_free(const Node& node, Fleet& fleet, uint32_t n) {
  std::array<int16_t, kMaxDevicesPerNode> left{};
  const size_t devices = fleet.left(n).size();
  if (!node.alive) {
    fleet.set_free(n, 0, 0, {left.data(), devices});
    return;
  }
  if (node.named()) {
    for (size_t d = 0; d < devices; ++d) {
      const Device& device = node.devices[d];
      left[d] = device.usable() ? static_cast<int16_t>(device.free_milli()) : int16_t{0};
    }
  } else {
    size_t d = 0;
    for (const CountedResource& row : node.counted) {
      if (!row.accelerator.valid()) continue;
      for (int64_t free = row.free(); free > 0 && d < devices; --free) left[d++] = kWholeDevice;
    }
  }
  const Resources free = node.free();
  fleet.set_free(n, std::max<int64_t>(free.cpu_milli, 0), std::max<int64_t>(free.memory_bytes, 0),
                 {left.data(), devices});
}

/// What the scorers read of a shape. A share by memory alone counts as half a device: its true part
/// depends on the device.
Request request_of(const State& state, const Shape& shape, AcceleratorMask allowed) {
  Request request;
  request.cpu_milli = shape.request.cpu_milli;
  request.memory_bytes = shape.request.memory_bytes;
  const DeviceRequest& devices = shape.devices;
  if (devices.count == 0) return request;
  request.devices = static_cast<int16_t>(devices.count);
  request.device_milli = static_cast<int16_t>(
      devices.milli == 0 ? kWholeDevice / 2 : std::min<int>(devices.milli, kWholeDevice));
  request.models = 0;
  for (size_t kind = 0; kind < state.accelerators().size(); ++kind) {
    const Accelerator& known = state.accelerators()[kind];
    const bool model =
        devices.models.empty() ||
        std::find(devices.models.begin(), devices.models.end(), known.name) != devices.models.end();
    if (known.resource == devices.resource && model) request.models |= AcceleratorMask{1} << kind;
  }
  request.models &= allowed;
  return request;
}

}  // namespace

std::optional<Placement> IndexPlacer::place(const State& state, const PlaceQuery& query) {
  follow(state);
  const Feasibility feasible(state, query);
  const Shape& shape = state.shape_of(query.task);
  const Request request = request_of(state, shape, query.accelerators);
  const uint32_t n = needs_scan(shape) ? best_by_scan(state, query, feasible, request)
                                       : best_by_index(state, query, feasible, request);
  if (n == kNoNode) return std::nullopt;
  return take(state, query, n, request);
}

void IndexPlacer::follow(const State& state) {
  bool same_nodes =
      scorer_ != nullptr && fleet_.size() == state.nodes().size() && state.remembers(cursor_);
  if (same_nodes) {
    for (NodeId id : state.changes_since(cursor_)) {
      const Node& node = state.node(id);
      const Fleet::Node& known = fleet_.node(id.value);
      if (device_count(node) != known.devices || model_of(node) != known.model) {
        same_nodes = false;
        break;
      }
      copy_free(node, fleet_, id.value);
      note_soft_taints(node, id.value);
    }
  }
  for (; shapes_seen_ < state.shape_count(); ++shapes_seen_) {
    const Shape& shape = state.shape(ShapeId{static_cast<uint32_t>(shapes_seen_)});
    for (const TaskAffinity& term : shape.filter.tasks) tasks_repel_ |= term.anti && term.required;
  }
  cursor_ = state.change_cursor();
  if (!same_nodes) mix_time_ = Time{-1};
  if (mix_time_ != state.now() || mix_tasks_ != state.tasks().size()) {
    const auto before = mix_;
    learn_mix(state);
    if (!same_nodes || before != mix_) rebuild(state);
  }
}

void IndexPlacer::learn_mix(const State& state) {
  mix_.clear();
  for (uint32_t i = 0; i < state.shape_count(); ++i) {
    const uint32_t tasks = state.tasks_of_shape(ShapeId{i});
    if (tasks > 0) mix_.emplace_back(ShapeId{i}, int64_t{std::bit_floor(tasks)});
  }
  mix_time_ = state.now();
  mix_tasks_ = state.tasks().size();
}

void IndexPlacer::rebuild(const State& state) {
  fleet_ = Fleet();
  soft_taints_.assign(state.nodes().size(), false);
  nodes_with_soft_taints_ = 0;
  std::vector<int64_t> supply(kMaxAccelerators);
  for (uint32_t n = 0; n < state.nodes().size(); ++n) {
    const Node& node = state.nodes()[n];
    const size_t devices = device_count(node);
    const int model = model_of(node);
    fleet_.add_node(0, 0, static_cast<int>(devices), model);
    copy_free(node, fleet_, n);
    note_soft_taints(node, n);
    if (node.alive) supply[static_cast<size_t>(model)] += static_cast<int64_t>(devices);
  }
  std::vector<Request> seen;
  for (const auto& [shape, count] : mix_) {
    const Request request = request_of(state, state.shape(shape), kAllAccelerators);
    seen.insert(seen.end(), static_cast<size_t>(count), request);
  }
  const TypicalMix typical = TypicalMix::of(seen, kTypicalSharePercent);
  const TypicalMix broad = TypicalMix::of(seen, kBroadSharePercent);
  scorer_ = policy_.make_scorer({typical, broad, supply});
  indexes_.clear();
}

void IndexPlacer::note_soft_taints(const Node& node, uint32_t n) {
  const bool soft =
      node.alive && std::any_of(node.taints.begin(), node.taints.end(), [](const Taint& taint) {
        return taint.effect == TaintEffect::kPreferNoSchedule;
      });
  if (soft == soft_taints_[n]) return;
  soft_taints_[n] = soft;
  nodes_with_soft_taints_ += soft ? 1 : -1;
}

bool IndexPlacer::needs_scan(const Shape& shape) const {
  return tasks_repel_ || nodes_with_soft_taints_ > 0 || !shape.filter.tasks.empty() ||
         !shape.filter.spread.empty() || !shape.filter.preferred.empty();
}

int32_t IndexPlacer::score(const State& state, const Feasibility& feasible, const Request& request,
                           uint32_t n) const {
  const Node& node = state.nodes()[n];
  if (!node.alive || feasible.rejects(node)) return Scorer::kUnfit;
  // Scores read the fleet's coarser view: where it sees no room (a share by memory, devices of
  // several kinds), the node is still a candidate, the last.
  if (!fleet_.fits(n, request)) return Scorer::kUnfit + 1;
  return scorer_->score(fleet_, n, request);
}

uint32_t IndexPlacer::best_by_index(const State& state, const PlaceQuery& query,
                                    const Feasibility& feasible, const Request& request) {
  if (indexes_.size() >= kMostIndexes) indexes_.clear();
  const Key key{state.task(query.task).shape, query.accelerators, query.domain};
  const auto found = indexes_.find(key);
  const bool is_new = found == indexes_.end();
  Index& index = is_new ? indexes_.emplace(key, Index{ScoreTree(fleet_.size()), 0}).first->second
                        : found->second;
  if (is_new || index.seen < fleet_.oldest_change()) {
    for (uint32_t n = 0; n < fleet_.size(); ++n) {
      index.tree.set_leaf(n, score(state, feasible, request, n));
    }
    index.tree.rebuild();
  } else {
    for (uint64_t i = index.seen; i < fleet_.changes(); ++i) {
      const uint32_t n = fleet_.changed(i);
      index.tree.set(n, score(state, feasible, request, n));
    }
  }
  index.seen = fleet_.changes();
  return index.tree.best_score() == Scorer::kUnfit ? kNoNode : index.tree.first_best();
}

uint32_t IndexPlacer::best_by_scan(const State& state, const PlaceQuery& query,
                                   const Feasibility& feasible, const Request& request) const {
  const Shape& shape = state.shape_of(query.task);
  uint32_t best = kNoNode;
  std::pair<int64_t, int32_t> best_score;
  for (uint32_t n = 0; n < fleet_.size(); ++n) {
    const int32_t value = score(state, feasible, request, n);
    if (value == Scorer::kUnfit) continue;
    const std::pair candidate(preference(state, shape, state.nodes()[n]), value);
    if (best == kNoNode || candidate > best_score) {
      best = n;
      best_score = candidate;
    }
  }
  return best;
}

std::optional<Placement> IndexPlacer::take(const State& state, const PlaceQuery& query, uint32_t n,
                                           const Request& request) const {
  const Node& node = state.nodes()[n];
  const DeviceRequest& wanted = state.shape_of(query.task).devices;
  if (node.named() && request.shares_device() && fleet_.fits(n, request)) {
    const DeviceSet chosen = scorer_->choose_devices(fleet_, n, request);
    bool good = true;
    for_each_device(chosen, [&](size_t d) {
      const Device& device = node.devices[d];
      good &= fits(wanted, device) && (query.accelerators >> device.accelerator.index() & 1) != 0;
    });
    if (good) return Placement{query.task, NodeId{n}, chosen};
  }
  const auto devices = choose_devices(wanted, node, query.accelerators);
  if (!devices) return std::nullopt;
  return Placement{query.task, NodeId{n}, *devices};
}

}  // namespace berth::core
