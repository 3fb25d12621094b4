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

struct Domain {
  Label label;
  int64_t nodes = 0;  ///< that could take a member
  int64_t slots = 0;  ///< no more members than this can go there
};

/// The domains that nodes are in, those with most nodes that could take a member first.
std::vector<Domain> domains_of(const State& state, const Gang& gang, TaskId member) {
  const NameId key = gang.topology_key;
  for (TaskId id : gang.tasks)
    if (state.task(id).holds_place() && state.task(id).phase != TaskPhase::kReleasing) {
      const NameId value = state.node(state.task(id).node).label(key);
      if (value.valid()) return {{{key, value}, 1, INT64_MAX}};
    }
  const PlaceQuery query{member, kAllAccelerators, {}};
  const Feasibility feasible(state, query);
  // Where other members' places count, each may open or close nodes for the next.
  const NodeFilter& filter = state.shape_of(member).filter;
  const bool bounded = filter.tasks.empty() && filter.spread.empty();
  std::vector<Domain> domains;  // in order of the first node of each
  std::vector<uint32_t> domain_of(state.names().size(), UINT32_MAX);
  for (const Node& node : state.nodes()) {
    const NameId value = node.alive ? node.label(key) : NameId{};
    if (!value.valid()) continue;
    uint32_t& known = domain_of[value.index()];
    if (known == UINT32_MAX) {
      known = static_cast<uint32_t>(domains.size());
      domains.push_back({{key, value}});
    }
    const bool fits = !feasible.rejects(node);
    domains[known].nodes += fits;
    domains[known].slots += !bounded ? INT32_MAX : fits ? feasible.slots_when_used(node) : 0;
  }
  std::stable_sort(domains.begin(), domains.end(),
                   [](const Domain& a, const Domain& b) { return a.nodes > b.nodes; });
  return domains;
}

}  // namespace

GangFit place_gang(const State& state, Trial& trial, Placer& placer,
                   const Entitlements& entitlements, GangId id, std::span<const TaskId> tasks,
                   bool explain) {
  const Gang& gang = state.gang(id);
  GangFit best;
  if (gang.topology_key.valid()) {
    const std::vector<Domain> domains = domains_of(state, gang, tasks.front());
    const ShapeId shape = state.task(tasks.front()).shape;
    const int64_t alike = std::count_if(
        tasks.begin(), tasks.end(), [&](TaskId task) { return state.task(task).shape == shape; });
    const auto try_in = [&](const Domain& domain) {
      GangFit fit =
          place_in(state, trial, placer, entitlements, gang.queue, tasks, domain.label, explain);
      if (!best.failed.valid() || fit.whole() || fit.fitted > best.fitted) best = std::move(fit);
      return best.whole();
    };
    for (const Domain& domain : domains)
      if (domain.slots >= alike && try_in(domain)) return best;
    // Nowhere, then. How far it got is told of the domain where it got furthest.
    const bool bounded = alike == std::ssize(tasks);
    for (const Domain& domain : domains) {
      const bool no_further = bounded && best.failed.valid() && domain.slots <= best.fitted;
      if (domain.slots < alike && !no_further) try_in(domain);
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
