#include "core/placement/gang.h"

#include <algorithm>

#include "core/placement/constraints/feasibility.h"

namespace berth::core {
namespace {

/// Places all in one domain (or anywhere), or none.
GangFit place_in(const State& state, Trial& trial, Placer& placer, const Entitlements& entitlements,
                 QueueId queue, std::span<const TaskId> tasks, Label domain, bool explain) {
  GangFit fit;
  const size_t mark = trial.mark();
  for (TaskId task : tasks) {
    const Shape& shape = state.shape_of(task);
    PlaceQuery query{task, entitlements.within_limit(queue, shape), domain};
    std::optional<Placement> placement;
    if (!state.task(task).preemptible) {
      query.accelerators &= entitlements.non_preemptible_kinds(queue, shape);
      fit.guarantee = query.accelerators == 0;
    }
    if (fit.guarantee) {
      // Nowhere, then.
    } else if (entitlements.cpu_and_memory_within_limit(queue, shape))
      placement = placer.place(state, query);
    else
      fit.limit = true;
    if (!placement && !fit.guarantee && query.accelerators != kAllAccelerators) {
      query.accelerators = kAllAccelerators;
      fit.limit = placer.place(state, query).has_value();
    }
    if (placement) {
      trial.place(*placement);
      // The charge of a share by memory is known only on its device.
      const Task& now = state.task(task);
      if (entitlements.above_limit(queue, {shape.request.cpu_milli, shape.request.memory_bytes,
                                           now.charged_accelerator, now.charged_milli})) {
        fit.limit = true;
        placement.reset();
      }
    }
    if (!placement) {
      fit.failed = task;
      fit.fitted = static_cast<uint32_t>(fit.placed.size());
      fit.placed.clear();
      if (explain) {
        query.accelerators = kAllAccelerators;
        fit.rejections = Feasibility(state, query).explain();
      }
      trial.rollback(mark);
      return fit;
    }
    fit.placed.push_back(*placement);
  }
  fit.fitted = static_cast<uint32_t>(fit.placed.size());
  return fit;
}

/// The domains that nodes are in, those with most nodes that could take a member first.
std::vector<Label> domains_of(const State& state, const Gang& gang, TaskId member) {
  const Label none{};
  for (TaskId id : gang.tasks)
    if (state.task(id).holds_place() && state.task(id).phase != TaskPhase::kReleasing) {
      const NameId value = state.node(state.task(id).node).label(gang.topology_key);
      if (value.valid()) return {{gang.topology_key, value}};
    }
  const PlaceQuery query{member, kAllAccelerators, none};
  const Feasibility feasible(state, query);
  std::vector<std::pair<int64_t, NameId>> room;  // in order of the first node of each
  for (const Node& node : state.nodes()) {
    const NameId value = node.alive ? node.label(gang.topology_key) : NameId{};
    if (!value.valid()) continue;
    auto at =
        std::find_if(room.begin(), room.end(), [&](const auto& r) { return r.second == value; });
    if (at == room.end()) at = room.insert(room.end(), {0, value});
    at->first += feasible.rejects(node) ? 0 : 1;
  }
  std::stable_sort(room.begin(), room.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Label> domains;
  domains.reserve(room.size());
  for (const auto& [count, value] : room) domains.push_back({gang.topology_key, value});
  return domains;
}

}  // namespace

GangFit place_gang(const State& state, Trial& trial, Placer& placer,
                   const Entitlements& entitlements, GangId id, std::span<const TaskId> tasks,
                   bool explain) {
  const Gang& gang = state.gang(id);
  GangFit best;
  if (gang.topology_key.valid()) {
    for (const Label& domain : domains_of(state, gang, tasks.front())) {
      GangFit fit =
          place_in(state, trial, placer, entitlements, gang.queue, tasks, domain, explain);
      if (fit.whole()) return fit;
      if (!best.failed.valid() || fit.fitted > best.fitted) best = std::move(fit);
    }
    if (gang.topology_required) {
      if (!best.failed.valid()) best.failed = tasks.front();
      return best;
    }
  }
  return place_in(state, trial, placer, entitlements, gang.queue, tasks, {}, explain);
}

bool place_exactly(const State& state, Trial& trial, const Entitlements& entitlements,
                   std::span<const Placement> placements) {
  const size_t mark = trial.mark();
  for (const Placement& placement : placements) {
    const Task& task = state.task(placement.task);
    const Node& node = state.node(placement.node);
    const Shape& shape = state.shape(task.shape);
    const QueueId queue = state.gang(task.gang).queue;
    const PlaceQuery query{placement.task, entitlements.within_limit(queue, shape), {}};
    bool fits_here = task.phase == TaskPhase::kPending && node.alive &&
                     entitlements.cpu_and_memory_within_limit(queue, shape) &&
                     !Feasibility(state, query).rejects(node);
    size_t devices = 0;
    for_each_device(placement.devices, [&](size_t i) {
      ++devices;
      fits_here = fits_here && i < node.devices.size() &&
                  (query.accelerators >> node.devices[i].accelerator.index() & 1) &&
                  fits(shape.devices, node.devices[i]);
    });
    const bool named = std::any_of(node.devices.begin(), node.devices.end(), [&](const Device& d) {
      return d.resource == shape.devices.resource;
    });
    if (named && devices != shape.devices.count) fits_here = false;
    if (fits_here) trial.place(placement);
    // The charge of a share by memory is known only on its device.
    if (!fits_here ||
        entitlements.above_limit(queue, {shape.request.cpu_milli, shape.request.memory_bytes,
                                         task.charged_accelerator, task.charged_milli})) {
      trial.rollback(mark);
      return false;
    }
  }
  return true;
}

}  // namespace berth::core
