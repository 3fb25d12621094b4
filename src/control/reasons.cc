#include "control/reasons.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/placement/constraints/feasibility.h"
#include "core/sharing/order.h"
#include "core/sharing/over_budget.h"

namespace berth::control {
namespace {

using namespace core;  // NOLINT: told in the core's terms

std::string devices(int64_t milli) {
  return milli % 1000 == 0 ? fmt::format("{}", milli / 1000)
                           : fmt::format("{:.3g}", static_cast<double>(milli) / 1000);
}

std::string gibibytes(int64_t bytes) {
  return fmt::format("{:.4g}Gi", static_cast<double>(bytes) / (1 << 30));
}

std::string cores(int64_t milli) {
  return fmt::format("{:.4g}", static_cast<double>(milli) / 1000);
}

std::vector<std::pair<ShapeId, int64_t>> shapes_of(const State& state,
                                                   std::span<const TaskId> tasks) {
  std::vector<std::pair<ShapeId, int64_t>> shapes;
  for (TaskId id : tasks) {
    const ShapeId shape = state.task(id).shape;
    const auto at = std::find_if(shapes.begin(), shapes.end(),
                                 [&](const auto& entry) { return entry.first == shape; });
    if (at == shapes.end())
      shapes.emplace_back(shape, 1);
    else
      ++at->second;
  }
  return shapes;
}

TaskId first_of(const State& state, std::span<const TaskId> tasks, ShapeId shape) {
  return *std::find_if(tasks.begin(), tasks.end(),
                       [&](TaskId id) { return state.task(id).shape == shape; });
}

/// How many tasks like this could be held, at most in one domain where the gang requires it.
int64_t slots(const State& state, const Gang& gang, TaskId task, int64_t enough) {
  const PlaceQuery query{task, kAllAccelerators, {}};
  const Feasibility feasible(state, query);
  if (!gang.topology_required) {
    int64_t sum = 0;
    for (const Node& node : state.nodes())
      if (sum < enough) sum += feasible.slots_when_empty(node);
    return sum;
  }
  std::map<NameId, int64_t> domains;
  int64_t best = 0;
  for (const Node& node : state.nodes()) {
    const NameId value = node.alive ? node.label(gang.topology_key) : NameId{};
    if (value.valid()) best = std::max(best, domains[value] += feasible.slots_when_empty(node));
  }
  return best;
}

}  // namespace

bool never_fits(const State& state, const Gang& gang, std::span<const TaskId> tasks) {
  for (const auto& [shape, count] : shapes_of(state, tasks))
    if (slots(state, gang, first_of(state, tasks, shape), count) < count) return true;
  return false;
}

std::string why_never(const State& state, const Gang& gang, std::span<const TaskId> tasks) {
  if (state.alive_nodes() == 0) return "there are no nodes";
  for (const auto& [id, count] : shapes_of(state, tasks)) {
    const TaskId task = first_of(state, tasks, id);
    const int64_t room = slots(state, gang, task, count);
    if (room >= count) continue;
    const Shape& shape = state.shape(id);
    if (room > 0)
      return fmt::format("its {} members need more than there is: {} would fit {} if it were empty",
                         count, room,
                         gang.topology_required ? "in the largest domain" : "in the cluster");

    const DeviceRequest& want = shape.devices;
    const std::string_view resource = state.names().text(want.resource);
    int64_t most_devices = 0, most_memory = 0, device_memory = 0, most_cpu = 0, most_disk = 0;
    bool model = want.models.empty();
    for (const Node& node : state.nodes()) {
      if (!node.alive) continue;
      most_cpu = std::max(most_cpu, node.capacity.cpu_milli);
      most_memory = std::max(most_memory, node.capacity.memory_bytes);
      most_disk = std::max(most_disk, node.capacity.ephemeral_bytes);
      int64_t here = 0;
      for (const Device& device : node.devices) {
        if (device.resource != want.resource) continue;
        ++here;
        device_memory = std::max(device_memory, device.memory_bytes);
        model |=
            std::find(want.models.begin(), want.models.end(), device.model) != want.models.end();
      }
      for (const CountedResource& row : node.counted)
        if (row.resource == want.resource) {
          here += row.capacity;
          model |=
              std::find(want.models.begin(), want.models.end(), row.model) != want.models.end();
        }
      most_devices = std::max(most_devices, here);
    }
    if (want.count > 0 && most_devices == 0) return fmt::format("no node has {}", resource);
    std::vector<std::string> lacking;  // every one of them, so that they are mended at once
    if (want.count > most_devices)
      lacking.push_back(fmt::format("it asks for {} {} on one node; the most that a node has is {}",
                                    want.count, resource, most_devices));
    else if (want.count > 0 && !model)
      lacking.push_back(fmt::format("no node has {} of an allowed model", resource));
    else if (want.count > 0 && want.memory_bytes > device_memory)
      lacking.push_back(fmt::format("it asks for {} of memory on one {}; the largest has {}",
                                    gibibytes(want.memory_bytes), resource,
                                    gibibytes(device_memory)));
    if (shape.request.cpu_milli > most_cpu)
      lacking.push_back(fmt::format("it asks for {} CPUs; the largest node has {}",
                                    cores(shape.request.cpu_milli), cores(most_cpu)));
    if (shape.request.memory_bytes > most_memory)
      lacking.push_back(fmt::format("it asks for {} of memory; the largest node has {}",
                                    gibibytes(shape.request.memory_bytes), gibibytes(most_memory)));
    if (shape.request.ephemeral_bytes > most_disk)
      lacking.push_back(fmt::format("it asks for {} of ephemeral storage; the largest node has {}",
                                    gibibytes(shape.request.ephemeral_bytes),
                                    gibibytes(most_disk)));
    for (const auto& request : shape.counted) {
      int64_t most = 0;
      for (const Node& node : state.nodes())
        for (const CountedResource& row : node.counted)
          if (node.alive && row.resource == request.resource) most = std::max(most, row.capacity);
      if (most < request.amount)
        lacking.push_back(fmt::format("it asks for {} {}; the most that a node has is {}",
                                      request.amount, state.names().text(request.resource), most));
    }
    if (!lacking.empty()) return fmt::format("{}", fmt::join(lacking, "; and "));
    const PlaceQuery query{task, kAllAccelerators, {}};
    const Feasibility feasible(state, query);
    const bool labelled =
        std::any_of(state.nodes().begin(), state.nodes().end(), [&](const Node& node) {
          const auto no = feasible.rejects_always(node);
          return node.alive && no != Constraint::kNodeSelector && no != Constraint::kNodeAffinity;
        });
    return labelled ? "no node has all of what it asks for"
                    : "no node has the labels that its nodeSelector or node affinity asks for";
  }
  return "no node has all of what it asks for";
}

const Rejections& Reasons::rejections(TaskId id) {
  const Task& task = state_.task(id);
  const auto [at, fresh] =
      rejections_.try_emplace({task.shape, task.labels, task.ns}, Rejections{});
  if (fresh) {
    const PlaceQuery query{id, kAllAccelerators, {}};
    at->second = Feasibility(state_, query).explain();
  }
  return at->second;
}

std::string Reasons::limit_text(const Waiter& waiter) const {
  const Gang& gang = state_.gang(waiter.gang);
  const Shape& shape = state_.shape_of(waiter.failed);
  const auto count = static_cast<int64_t>(waiter.tasks.size());
  for (QueueId id = gang.queue; id.valid(); id = state_.queue(id).parent) {
    const Queue& queue = state_.queue(id);
    const Quota& limit = queue.limit;
    for (const Quota::Row& row : limit.accelerators) {
      if (shape.devices.count == 0) continue;
      const bool relevant = std::any_of(
          state_.accelerators().begin(), state_.accelerators().end(), [&](const Accelerator& kind) {
            const auto i = static_cast<size_t>(&kind - state_.accelerators().data());
            return kind.resource == shape.devices.resource && (row.mask >> i & 1);
          });
      if (!relevant) continue;
      const int64_t used = sum_of(queue.used, row.mask);
      const int64_t wanted =
          count * shape.devices.count * std::max<int64_t>(1, shape.devices.milli);
      if (used + wanted > row.milli)
        return fmt::format("queue {} is limited to {} {}; it uses {}, and this asks for {} more",
                           queue.name, devices(row.milli), state_.names().text(row.key),
                           devices(used), devices(wanted));
    }
    if (limit.cpu_milli >= 0 &&
        queue.used.cpu_milli + count * shape.request.cpu_milli > limit.cpu_milli)
      return fmt::format("queue {} is limited to {} CPUs; it uses {}, and this asks for {} more",
                         queue.name, cores(limit.cpu_milli), cores(queue.used.cpu_milli),
                         cores(count * shape.request.cpu_milli));
    if (limit.memory_bytes >= 0 &&
        queue.used.memory_bytes + count * shape.request.memory_bytes > limit.memory_bytes)
      return fmt::format(
          "queue {} is limited to {} of memory; it uses {}, and this asks for {} more", queue.name,
          gibibytes(limit.memory_bytes), gibibytes(queue.used.memory_bytes),
          gibibytes(count * shape.request.memory_bytes));
  }
  return fmt::format("it would take queue {} above its limit", state_.queue(gang.queue).name);
}

std::string Reasons::guarantee_text(const Waiter& waiter) const {
  const Gang& gang = state_.gang(waiter.gang);
  bool any = false;
  for (QueueId id = gang.queue; id.valid(); id = state_.queue(id).parent)
    any |= !entitlements_.guarantee(id).empty();
  const std::string_view queue = state_.queue(gang.queue).name;
  return any ? fmt::format(
                   "it is not preemptible, and the guarantee of queue {} has no room for it; "
                   "raise the guarantee, or let it be preempted",
                   queue)
             : fmt::format(
                   "it is not preemptible, which needs a guarantee, and queue {} has none; "
                   "set one, or let it be preempted",
                   queue);
}

std::string Reasons::claimed_text(const Waiter& waiter) const {
  const Gang& gang = state_.gang(waiter.gang);
  size_t stopping = 0;
  std::string first;
  for (const Task& task : state_.tasks())
    if (task.phase == TaskPhase::kReleasing && task.released_for == gang.name) {
      ++stopping;
      if (first.empty()) first = task.name;
    }
  if (stopping == 0) return "it starts as soon as what it claimed is free";
  return fmt::format(
      "it starts when {}{} stopped, which yield{} for it", first,
      stopping == 1 ? std::string(" has") : fmt::format(" and {} more have", stopping - 1),
      stopping == 1 ? "s" : "");
}

std::string Reasons::behind_text(const Gang& gang) const {
  std::string holders;
  for (const HeldClaim& claim : state_.claims()) {
    if (&state_.gang(claim.gang) == &gang) continue;
    if (holders.size() > 200) return holders + ", …";
    holders += (holders.empty() ? "" : ", ") + state_.gang(claim.gang).name;
  }
  return "room is kept for " + holders;
}

/// What it is worth, and what of its queue had its turn before it in this cycle.
std::string Reasons::growth_text(const Gang& gang) const {
  constexpr size_t kTold = 3;
  const auto worth = [](const Gang& each) {
    return each.is_growth()
               ? fmt::format("worth {:.3g}", static_cast<double>(each.growth_micro) / 1e6)
               : std::string("no growth");
  };
  std::vector<const Gang*> before;
  for (const GangId id : state_.queue(gang.queue).gangs) {
    const Gang& other = state_.gang(id);
    const bool had_turn = other.waiting > 0 || std::ranges::any_of(other.tasks, [&](TaskId task) {
                            return state_.task(task).phase == TaskPhase::kAssumed;
                          });
    if (&other != &gang && had_turn && serves_before(other, gang)) before.push_back(&other);
  }
  std::ranges::sort(before, [](const Gang* a, const Gang* b) { return serves_before(*a, *b); });
  std::string text =
      fmt::format("it is beyond its service's minimum, {} objective misses avoided a device-second",
                  worth(gang));
  for (size_t i = 0; i < std::min(before.size(), kTold); ++i)
    text += fmt::format("{}{} ({})", i == 0 ? "; before it come " : ", ", before[i]->name,
                        worth(*before[i]));
  if (before.size() > kTold) text += fmt::format(" and {} more", before.size() - kTold);
  return text;
}

Waiting Reasons::of(const Waiter& waiter) {
  const Gang& gang = state_.gang(waiter.gang);
  Waiting waiting;
  waiting.gang = gang.name;
  waiting.placeable = waiter.fitted;
  waiting.position = waiter.position;
  const auto add = [&](ReasonCode code, std::string text) {
    waiting.reasons.push_back({code, std::move(text)});
  };
  switch (waiter.code) {
    case ReasonCode::kQueueMissing:
      add(waiter.code, "its queue does not exist, or has queues below it; name a leaf queue");
      break;
    case ReasonCode::kGated:
      add(waiter.code, "it has scheduling gates");
      break;
    case ReasonCode::kGangIncomplete: {
      const auto present = std::count_if(gang.tasks.begin(), gang.tasks.end(), [&](TaskId id) {
        return state_.task(id).phase != TaskPhase::kReleasing;
      });
      if (gang.min == kUndeclared)
        add(waiter.code, fmt::format("its gang {} is not declared yet", gang.name));
      else
        add(waiter.code,
            fmt::format("{} of the {} members that the gang needs exist", present, gang.min));
      break;
    }
    case ReasonCode::kNotGuaranteed:
      add(waiter.code, guarantee_text(waiter));
      break;
    case ReasonCode::kQueueLimit:
      add(waiter.code, limit_text(waiter));
      break;
    case ReasonCode::kBudget: {
      const Queue& queue = state_.queue(over_budget(state_, gang.queue));
      add(waiter.code,
          fmt::format("queue {} has spent its budget of {}; nothing of it starts "
                      "before {}, unless the budget is raised",
                      queue.name, queue.budget.amount, format_time(queue.budget.until)));
      break;
    }
    case ReasonCode::kClaimed:
      add(waiter.code, claimed_text(waiter));
      break;
    case ReasonCode::kNever:
      waiting.rejections = rejections(waiter.tasks.front());
      add(state_.alive_nodes() == 0 ? ReasonCode::kNoNodes : waiter.code,
          why_never(state_, gang, waiter.tasks));
      break;
    default: {
      waiting.rejections =
          waiter.rejections.total > 0 ? waiter.rejections : rejections(waiter.failed);
      std::string text = describe(waiting.rejections);
      if (waiter.tasks.size() > 1)
        text = fmt::format("{} of {} members fit; for the next, {}", waiter.fitted,
                           waiter.tasks.size(), text);
      add(ReasonCode::kInsufficient, std::move(text));
      if (waiting.rejections[Constraint::kClaimed] > 0) add(ReasonCode::kBehind, behind_text(gang));
      if (waiter.no_victims.is_protected && waiter.no_victims.protected_until)
        add(ReasonCode::kProtected,
            fmt::format("it may take devices back from {} on, when the protection of what runs "
                        "there ends",
                        format_time(*waiter.no_victims.protected_until)));
    }
  }
  if (waiter.next_round)
    add(ReasonCode::kTurn,
        fmt::format("it takes turns with others of queue {} that ask for the "
                    "same devices; next round at {}",
                    state_.queue(gang.queue).name, format_time(*waiter.next_round)));
  for (const HeldClaim& claim : state_.claims())
    if (claim.gang == waiter.gang && claim.reservation)
      add(ReasonCode::kReserved,
          claim.start
              ? fmt::format("it has its queue's reservation, expected to start by {}",
                            format_time(*claim.start))
              : std::string("room is reserved for it next; when is not known, as what it waits "
                            "for does not say how long it takes"));
  if (gang.is_growth() && gang.queue.valid()) add(ReasonCode::kGrowth, growth_text(gang));
  return waiting;
}

}  // namespace berth::control
