// State as events, and State as one number.

#include <algorithm>

#include "core/model/undo.h"

namespace berth::core {
namespace {

uint64_t hash_time(Time time) {
  return static_cast<uint64_t>(time.ns);
}

void add(Hash& hash, const Resources& r) {
  for (int64_t amount : {r.cpu_milli, r.memory_bytes, r.ephemeral_bytes, r.pods})
    hash.add(static_cast<uint64_t>(amount));
}

}  // namespace

// Entities are summed, so that neither slots nor the order of interning matter.
uint64_t State::hash() const {
  uint64_t sum =
      Hash().add(hash_time(now_)).add(hash_time(round_begun_)).add(policy_.profile).value();
  for (const Node& node : nodes_) {
    if (node.name.empty()) continue;
    Hash hash;
    hash.add(node.name).add(node.alive).add(node.unschedulable).add(node.ready);
    add(hash, node.capacity);
    add(hash, node.used);
    add(hash, node.releasing);
    add(hash, node.claimed);
    for (const Device& d : node.devices) {
      hash.add(names_.text(d.id)).add(names_.text(d.resource)).add(names_.text(d.model));
      hash.add(static_cast<uint64_t>(d.memory_bytes)).add(d.used_milli).add(d.claims);
      hash.add(static_cast<uint64_t>(d.used_memory_bytes)).add(d.healthy).add(d.busy);
    }
    for (const CountedResource& c : node.counted) {
      hash.add(names_.text(c.resource)).add(static_cast<uint64_t>(c.capacity));
      hash.add(static_cast<uint64_t>(c.used)).add(static_cast<uint64_t>(c.releasing));
      hash.add(static_cast<uint64_t>(c.claimed));
    }
    uint64_t labels = 0;
    for (const Label& label : node.labels)
      labels += Hash().add(names_.text(label.key)).add(names_.text(label.value)).value();
    hash.add(labels);
    for (const Taint& taint : node.taints)
      hash.add(names_.text(taint.key)).add(names_.text(taint.value));
    hash.add(static_cast<uint64_t>(node.measured_cpu_permille));
    hash.add(static_cast<uint64_t>(node.measured_memory_permille));
    hash.add(static_cast<uint64_t>(node.measured_device_permille));
    uint64_t tasks = 0;
    for (TaskId id : node.tasks) tasks += Hash().add(task(id).name).value();
    sum += hash.add(tasks).value();
  }
  for (const Task& task : tasks_) {
    if (task.phase == TaskPhase::kGone) continue;
    Hash hash;
    hash.add(task.name).add(static_cast<uint64_t>(task.phase)).add(task.managed).add(task.gated);
    hash.add(task.preemptible).add(task.restartable).add(task.backfilled);
    hash.add(static_cast<uint64_t>(task.priority)).add(hash_of(shape(task.shape), names_));
    hash.add(task.gang.valid() ? std::string_view(gang(task.gang).name) : std::string_view());
    hash.add(task.node.valid() ? std::string_view(node(task.node).name) : std::string_view());
    hash.add(task.devices).add(task.charged_milli).add(hash_time(task.created));
    hash.add(hash_time(task.started)).add(hash_time(task.release_by));
    hash.add(hash_time(task.last_checkpoint)).add(task.released_for);
    hash.add(static_cast<uint64_t>(task.expected_duration.ns)).add(names_.text(task.owner));
    sum += hash.value();
  }
  for (const Gang& gang : gangs_) {
    if (!gang.alive) continue;
    Hash hash;
    hash.add(gang.name).add(gang.declared).add(gang.min).add(gang.max).add(gang.plan);
    hash.add(gang.queue.valid() ? std::string_view(queue(gang.queue).name) : std::string_view());
    hash.add(static_cast<uint64_t>(gang.priority)).add(hash_time(gang.created));
    hash.add(hash_time(gang.blocked)).add(hash_time(gang.below_min_since));
    hash.add(hash_time(gang.deadline)).add(gang.tasks.size());
    hash.add(static_cast<uint64_t>(gang.growth_micro));
    for (const Placement& member : gang.intent)
      hash.add(task(member.task).name).add(node(member.node).name).add(member.devices);
    sum += hash.value();
  }
  for (const Queue& queue : queues_) {
    if (!queue.alive) continue;
    Hash hash;
    hash.add(queue.name).add(static_cast<uint64_t>(queue.weight_milli));
    for (const Usage* usage :
         {&queue.used, &queue.releasing, &queue.claimed, &queue.non_preemptible}) {
      hash.add(static_cast<uint64_t>(usage->cpu_milli));
      hash.add(static_cast<uint64_t>(usage->memory_bytes));
      uint64_t devices = 0;  // by name: the ids depend on the order of arrival
      for (size_t i = 0; i < accelerators_.size(); ++i)
        if (usage->accelerator_milli[i] != 0)
          devices += Hash()
                         .add(names_.text(accelerators_[i].name))
                         .add(static_cast<uint64_t>(usage->accelerator_milli[i]))
                         .value();
      hash.add(devices);
    }
    hash.add(static_cast<uint64_t>(queue.pending_cpu_milli)).add(queue.pending_tasks);
    hash.add(static_cast<uint64_t>(queue.pending_memory_bytes));
    hash.add(static_cast<uint64_t>(queue.pending_device_milli));
    hash.add(static_cast<uint64_t>(queue.decayed));
    hash.add(queue.budget.spent).add(queue.budget.preempts).add(hash_time(queue.budget.until));
    sum += hash.value();
  }
  for (const auto& [owner, past] : durations_.owners()) {
    Hash hash;
    hash.add(owner).add(past.queue);
    for (int64_t each : past.milliseconds) hash.add(static_cast<uint64_t>(each));
    sum += hash.value();
  }
  for (const DisruptionBudget& budget : disruption_budgets_)
    sum += Hash().add(budget.name).add(static_cast<uint64_t>(budget.allowed)).value();
  for (const HeldClaim& claim : claims_) {
    Hash hash;
    hash.add(gang(claim.gang).name).add(claim.reservation).add(hash_time(claim.expires));
    hash.add(hash_time(claim.start.value_or(Time{}))).add(claim.lifted);
    for (const Placement& member : claim.members)
      hash.add(task(member.task).name).add(node(member.node).name).add(member.devices);
    sum += hash.value();
  }
  return Hash::mix(sum);
}

QueueUpsert State::describe(QueueId id) const {
  const Queue& q = queue(id);
  const auto quota = [&](const Quota& kept) {
    QuotaSpec spec{kept.cpu_milli, kept.memory_bytes, {}};
    for (const auto& row : kept.accelerators)
      spec.accelerators.push_back({std::string(names_.text(row.key)), row.milli, 0});
    return spec;
  };
  return {q.name,         wanted_parents_[id.index()],
          q.weight_milli, quota(q.guaranteed),
          quota(q.limit), q.reclaim,
          q.times,        q.budget};
}

NodeUpsert State::describe(NodeId id) const {
  const Node& n = node(id);
  const auto text = [&](NameId name) { return std::string(names_.text(name)); };
  NodeUpsert event;
  event.name = n.name;
  event.capacity = n.capacity;
  event.unschedulable = n.unschedulable;
  event.ready = n.ready;
  for (const Device& d : n.devices)
    event.devices.push_back({text(d.id), text(d.resource), text(d.model), text(d.link_domain),
                             d.memory_bytes, d.numa, d.healthy, d.busy});
  for (const CountedResource& c : n.counted)
    event.counted.push_back({text(c.resource), text(c.model), c.capacity, c.accelerator.valid()});
  for (const Label& label : n.labels) event.labels.emplace_back(text(label.key), text(label.value));
  for (const Taint& taint : n.taints) event.taints.push_back(core::spell(taint, names_));
  return event;
}

GangUpsert State::describe(GangId id) const {
  const Gang& g = gang(id);
  return {g.name,
          std::string(names_.text(g.wanted_queue)),
          g.priority,
          g.min,
          g.max,
          std::string(names_.text(g.topology_key)),
          g.topology_required,
          g.created,
          g.deadline.ns == 0 ? Duration{} : g.deadline - g.created};
}

TaskUpsert State::describe(TaskId id) const {
  const Task& t = task(id);
  TaskUpsert event;
  event.name = t.name;
  event.ns = names_.text(t.ns);
  if (t.gang.valid()) {
    const std::string& gang_name = gang(t.gang).name;
    if (gang_name != t.name)
      event.gang = gang_name;
    else
      event.growth_micro = gang(t.gang).growth_micro;
    event.queue = names_.text(gang(t.gang).wanted_queue);
  }
  event.managed = t.managed;
  event.gated = t.gated;
  event.preemptible = t.preemptible;
  event.restartable = t.restartable;
  event.backfilled = t.backfilled;
  event.priority = t.priority;
  event.shape = core::spell(shape(t.shape), names_);
  for (const Label& label : labels(t.labels))
    event.labels.emplace_back(names_.text(label.key), names_.text(label.value));
  event.created = t.created;
  event.owner = names_.text(t.owner);
  event.expected_duration = t.expected_duration;
  event.last_checkpoint = t.last_checkpoint;
  event.grace = t.grace;
  event.phase = t.phase;
  if (t.holds_place()) {
    const PlaceSpec place = spell(Placement{id, t.node, t.devices});
    event.node = place.node;
    event.devices = place.devices;
    event.started = t.started;
    event.release_by = t.release_by;
    event.released_for = t.released_for;
  }
  return event;
}

std::vector<Event> State::snapshot() const {
  std::vector<Event> events;
  events.push_back(Tick{now_});
  events.push_back(policy_);
  for (uint32_t i = 0; i < queues_.size(); ++i)
    if (queues_[i].alive) events.push_back(describe(QueueId{i}));
  for (const Queue& queue : queues_)
    if (queue.alive && queue.decayed > 0)
      events.push_back(QueueUsage{queue.name, queue.decayed, now_});
  // In the order in which they were last heard of: the next to be forgotten is the same.
  std::vector<std::pair<uint64_t, const std::string*>> owners;
  for (const auto& [owner, past] : durations_.owners()) owners.emplace_back(past.heard, &owner);
  std::sort(owners.begin(), owners.end());
  for (const auto& [heard, owner] : owners) {
    const DurationMemory::Past& past = durations_.owners().at(*owner);
    events.push_back(OwnerDurations{*owner, past.milliseconds, past.queue});
  }

  for (const DisruptionBudget& budget : disruption_budgets_)
    events.push_back(DisruptionBudgetUpsert{budget.name, std::string(names_.text(budget.ns)),
                                            core::spell(budget.selector, names_), budget.allowed});

  UsageWindow window;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const Node& n = nodes_[i];
    if (n.name.empty()) continue;
    events.push_back(describe(NodeId{i}));
    if (n.measured_cpu_permille >= 0 || n.measured_memory_permille >= 0 ||
        n.measured_device_permille >= 0)
      window.samples.push_back({n.name, n.measured_cpu_permille, n.measured_memory_permille,
                                n.measured_device_permille});
  }
  if (!window.samples.empty()) events.push_back(std::move(window));

  // Gangs and tasks in their order of arrival.
  const auto in_order = [](const auto& items, auto id, const auto& wanted) {
    std::vector<decltype(id)> ids;
    for (uint32_t i = 0; i < items.size(); ++i)
      if (wanted(items[i])) ids.push_back(decltype(id){i});
    std::sort(ids.begin(), ids.end(), [&](auto a, auto b) {
      return items[a.index()].sequence < items[b.index()].sequence;
    });
    return ids;
  };
  for (GangId id : in_order(gangs_, GangId{}, [](const Gang& g) { return g.alive && g.declared; }))
    events.push_back(describe(id));
  for (TaskId id :
       in_order(tasks_, TaskId{}, [](const Task& t) { return t.phase != TaskPhase::kGone; }))
    events.push_back(describe(id));

  // A node that is gone is remembered for the tasks that are still known to be there.
  for (const Node& n : nodes_)
    if (!n.name.empty() && !n.alive) events.push_back(NodeRemove{n.name});

  for (const Gang& g : gangs_) {
    if (!g.alive) continue;
    PlanCommit marks{.plan = g.plan, .actions = {}};
    if (!g.intent.empty()) {
      PersistIntent intent{g.name, g.plan, {}};
      for (const Placement& member : g.intent) intent.members.push_back(spell(member));
      marks.actions.push_back(std::move(intent));
    }
    if (g.blocked.ns != 0) marks.actions.push_back(MarkBlocked{g.name, g.blocked});
    if (g.below_min_since.ns != 0) marks.actions.push_back(MarkBroken{g.name, g.below_min_since});
    if (!marks.actions.empty()) events.push_back(std::move(marks));
  }
  PlanCommit held;
  if (round_begun_.ns != 0) held.actions.push_back(BeginRound{round_begun_});
  for (const HeldClaim& claim : claims_) {
    Claim action{gang(claim.gang).name, claim.reservation, {}, claim.expires, claim.start};
    for (const Placement& member : claim.members) action.members.push_back(spell(member));
    held.actions.push_back(std::move(action));
  }
  if (!held.actions.empty()) events.push_back(std::move(held));
  return events;
}

}  // namespace berth::core
