#include "control/explain.h"

#include <algorithm>
#include <map>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_from.hpp>
#include <fmt/format.h>

#include "control/cycle.h"
#include "control/prediction.h"
#include "core/model/trial.h"
#include "core/placement/constraints/feasibility.h"
#include "core/placement/placer.h"

namespace berth::control {
namespace {

using namespace core;  // NOLINT

/// Each trial is a whole decision on a copy: enough for the nearest changes, not for all.
constexpr size_t kMaxTrials = 32;
constexpr size_t kMaxHolders = 16;
constexpr size_t kMaxChanges = 6;

class ChangeSearch {
 public:
  ChangeSearch(const State& state, uint64_t seed, GangId gang)
      : state_(state), seed_(seed), gang_(gang), name_(state.gang(gang).name) {}

  std::vector<Change> run(const Waiting& waiting, const std::vector<Holder>& holders) {
    const auto has = [&](ReasonCode code) {
      return std::any_of(waiting.reasons.begin(), waiting.reasons.end(),
                         [&](const Reason& reason) { return reason.code == code; });
    };
    if (has(ReasonCode::kNotGuaranteed)) let_it_be_preempted();
    if (has(ReasonCode::kQueueLimit)) raise_limits();
    if (has(ReasonCode::kBudget)) lift_budgets();
    if (has(ReasonCode::kInsufficient) || has(ReasonCode::kNever) || has(ReasonCode::kQueueLimit))
      lower_request();
    if (has(ReasonCode::kInsufficient)) {
      uncordon();
      free_holders(holders);
      wait();
    }
    return std::move(changes_);
  }

 private:
  bool starts_with(const std::vector<Event>& events) {
    if (trials_ == kMaxTrials) return false;
    ++trials_;
    State copy = state_;
    for (const Event& event : events) copy.apply(event);
    const auto placer = make_placer(copy.policy().profile, seed_);
    const Plan plan = decide(copy, *placer, 0);
    copy.apply(PlanCommit{0, plan.actions});
    const GangId id = copy.find_gang(name_);
    if (!id.valid()) return false;
    const Gang& gang = copy.gang(id);
    const auto holding = std::count_if(gang.tasks.begin(), gang.tasks.end(), [&](TaskId task) {
      return copy.task(task).phase == TaskPhase::kAssumed ||
             copy.task(task).phase == TaskPhase::kBound ||
             copy.task(task).phase == TaskPhase::kRunning;
    });
    return static_cast<uint32_t>(holding) >= gang.min;
  }

  void suggest(Change::Kind kind, std::string text, std::vector<Event> events) {
    if (changes_.size() < kMaxChanges && starts_with(events))
      changes_.push_back({kind, std::move(text), std::move(events)});
  }

  /// The waiting members, as events that change `edit` in their shape.
  template <class Edit>
  std::vector<Event> edited(const Edit& edit) const {
    std::vector<Event> events;
    for (const Event& event : task_events()) {
      TaskUpsert task = std::get<TaskUpsert>(event);
      edit(task);
      events.push_back(std::move(task));
    }
    return events;
  }

  std::vector<Event> task_events() const {
    std::vector<Event> events;
    for (TaskId id : state_.gang(gang_).tasks) {
      if (state_.task(id).phase != TaskPhase::kPending) continue;
      events.push_back(state_.describe(id));
    }
    return events;
  }

  void let_it_be_preempted() {
    suggest(Change::Kind::kPreemptible,
            "let it be preempted: set the annotation berth.dev/preemptible to \"true\"",
            edited([](TaskUpsert& task) { task.preemptible = true; }));
  }

  void raise_limits() {
    for (QueueId id = state_.gang(gang_).queue; id.valid(); id = state_.queue(id).parent) {
      const Queue& queue = state_.queue(id);
      if (queue.limit.empty()) continue;
      QueueUpsert event = state_.describe(id);
      event.limit = {};
      suggest(Change::Kind::kRaiseLimit, fmt::format("raise the limit of queue {}", queue.name),
              {event});
    }
  }

  /// Of several that are spent, all have to be raised, and all periods to end.
  void lift_budgets() {
    std::vector<Event> raised;
    std::string names;
    Time end;
    for (QueueId id = state_.gang(gang_).queue; id.valid(); id = state_.queue(id).parent) {
      const QueueBudget& budget = state_.queue(id).budget;
      if (!budget.spent || budget.until <= state_.now()) continue;
      QueueUpsert event = state_.describe(id);
      event.budget = {};
      raised.emplace_back(std::move(event));
      names += fmt::format("{}{} ({})", names.empty() ? "" : " and ", state_.queue(id).name,
                           budget.amount);
      end = std::max(end, budget.until);
    }
    suggest(Change::Kind::kRaiseBudget, fmt::format("raise the budget of queue {}", names), raised);
    suggest(Change::Kind::kWait,
            fmt::format("wait until {}, when the budget begins anew", format_time(end)),
            {Tick{end}});
  }

  /// The largest request of each kind with which it would start.
  void lower_request() {
    const auto events = task_events();
    if (events.empty()) return;
    const ShapeSpec shape = std::get<TaskUpsert>(events.front()).shape;
    for (uint16_t count = shape.devices.count; count > 1; count = count / 2) {
      const uint16_t fewer = static_cast<uint16_t>(count / 2);
      const auto lowered = edited([&](TaskUpsert& task) { task.shape.devices.count = fewer; });
      if (!starts_with(lowered)) continue;
      changes_.push_back({Change::Kind::kLowerRequest,
                          fmt::format("ask for {} {} instead of {}", fewer, shape.devices.resource,
                                      shape.devices.count),
                          lowered});
      break;
    }
    // As much CPU or memory as a node has to give that has the rest.
    const Resources best = most_free();
    const Resources& want = shape.request;
    if (want.cpu_milli > best.cpu_milli && best.cpu_milli > 0)
      suggest(Change::Kind::kLowerRequest,
              fmt::format("ask for at most {:.4g} CPUs instead of {:.4g}",
                          static_cast<double>(best.cpu_milli) / 1000,
                          static_cast<double>(want.cpu_milli) / 1000),
              edited([&](TaskUpsert& task) { task.shape.request.cpu_milli = best.cpu_milli; }));
    if (want.memory_bytes > best.memory_bytes && best.memory_bytes > 0)
      suggest(
          Change::Kind::kLowerRequest,
          fmt::format("ask for at most {:.4g}Gi of memory instead of {:.4g}Gi",
                      static_cast<double>(best.memory_bytes) / (1 << 30),
                      static_cast<double>(want.memory_bytes) / (1 << 30)),
          edited([&](TaskUpsert& task) { task.shape.request.memory_bytes = best.memory_bytes; }));
  }

  Resources most_free() const {
    Resources best;
    for (const Node& node : state_.nodes()) {
      if (!node.alive || !node.ready || node.unschedulable) continue;
      const Resources free = node.free();
      best.cpu_milli = std::max(best.cpu_milli, free.cpu_milli);
      best.memory_bytes = std::max(best.memory_bytes, free.memory_bytes);
    }
    return best;
  }

  void uncordon() {
    for (size_t i = 0; i < state_.nodes().size(); ++i) {
      const Node& node = state_.nodes()[i];
      if (!node.alive || !node.unschedulable) continue;
      NodeUpsert event = state_.describe(NodeId{static_cast<uint32_t>(i)});
      event.unschedulable = false;
      suggest(Change::Kind::kUncordon, fmt::format("uncordon node {}", node.name), {event});
    }
  }

  /// One gang that ends; else the first few together.
  void free_holders(const std::vector<Holder>& holders) {
    std::vector<Event> all;
    std::string names;
    for (const Holder& holder : holders) {
      const GangId id = state_.find_gang(holder.gang);
      if (!id.valid() || id == gang_) continue;
      std::vector<Event> gone;
      for (TaskId task : state_.gang(id).tasks)
        if (state_.task(task).holds_place()) gone.push_back(TaskRemove{state_.task(task).name});
      const size_t before = changes_.size();
      suggest(Change::Kind::kFree, fmt::format("end {} (queue {})", holder.gang, holder.queue),
              gone);
      if (changes_.size() > before && ++freed_ == 2) return;
      all.insert(all.end(), gone.begin(), gone.end());
      names += (names.empty() ? "" : ", ") + holder.gang;
      if (freed_ == 0 && all.size() > gone.size() && changes_.size() == before)
        suggest(Change::Kind::kFree, fmt::format("end {}", names), all);
      if (changes_.size() > before) return;
    }
  }

  /// How sure that is, where it is learned from the past and not only said.
  std::string interval() const {
    const auto prediction = predict_start(state_, seed_, gang_);
    if (!prediction || prediction->learned == 0) return " by their own estimates";
    return fmt::format(
        "; with 50% between {} and {}, with 90% between {} and {}, by how long earlier work of the "
        "owners of {} of the {} that run took",
        format_time(prediction->from_50), format_time(prediction->to_50),
        format_time(prediction->from_90), format_time(prediction->to_90), prediction->learned,
        prediction->learned + prediction->given);
  }

  /// The earliest time by which enough will have ended, where how long it takes is known.
  void wait() {
    std::vector<std::pair<Time, TaskId>> ends;
    for (size_t i = 0; i < state_.tasks().size(); ++i) {
      const Task& task = state_.tasks()[i];
      if (!task.holds_place() || task.gang == gang_) continue;
      const auto belief = state_.duration_of(task);
      if (task.phase != TaskPhase::kReleasing && !belief) continue;
      const Time end = task.phase == TaskPhase::kReleasing
                           ? task.release_by
                           : task.started + belief->at_most(0.5, state_.now() - task.started);
      // What has outlived its estimate may end at any time: when is not known.
      if (end > state_.now()) ends.emplace_back(end, TaskId{static_cast<uint32_t>(i)});
    }
    std::sort(ends.begin(), ends.end(), [&](const auto& a, const auto& b) {
      return std::pair(a.first, std::string_view(state_.task(a.second).name)) <
             std::pair(b.first, std::string_view(state_.task(b.second).name));
    });
    const auto ended = [&](size_t count) {
      std::vector<Event> events{Tick{ends[count - 1].first}};
      for (size_t i = 0; i < count; ++i)
        events.push_back(TaskRemove{state_.task(ends[i].second).name});
      return events;
    };
    if (ends.empty() || !starts_with(ended(ends.size()))) return;
    size_t low = 1;
    size_t high = ends.size();
    while (low < high && trials_ < kMaxTrials) {
      const size_t middle = low + (high - low) / 2;
      if (starts_with(ended(middle)))
        high = middle;
      else
        low = middle + 1;
    }
    const auto& [end, last] = ends[high - 1];
    const std::string others =
        high > 1 ? fmt::format(" and {} more are", high - 1) : std::string(" is");
    changes_.push_back({Change::Kind::kWait,
                        fmt::format("wait until {}, when {}{} expected to have ended{}",
                                    format_time(end), state_.task(last).name, others, interval()),
                        ended(high)});
  }

  const State& state_;
  uint64_t seed_;
  GangId gang_;
  std::string name_;
  size_t trials_ = 0;
  size_t freed_ = 0;
  std::vector<Change> changes_;
};

std::vector<Holder> holders_for(const State& state, GangId waiting) {
  const Gang& gang = state.gang(waiting);
  if (gang.tasks.empty()) return {};
  const Shape& shape = state.shape_of(gang.tasks.front());
  std::map<std::string_view, Holder> by_gang;
  for (const Task& task : state.tasks()) {
    if (!task.holds_place() || !task.gang.valid() || task.gang == waiting) continue;
    const Shape& held = state.shape(task.shape);
    if (shape.devices.count > 0 && held.devices.resource != shape.devices.resource) continue;
    const Gang& other = state.gang(task.gang);
    Holder& holder = by_gang[other.name];
    holder.gang = other.name;
    if (other.queue.valid()) holder.queue = state.queue(other.queue).name;
    holder.device_milli += task.charged_milli;
    holder.priority = other.priority;
  }
  std::vector<Holder> holders;
  holders.reserve(by_gang.size());
  for (auto& [name, holder] : by_gang) holders.push_back(std::move(holder));
  std::stable_sort(holders.begin(), holders.end(), [](const Holder& a, const Holder& b) {
    return a.device_milli > b.device_milli;
  });
  if (holders.size() > kMaxHolders) holders.resize(kMaxHolders);
  return holders;
}

std::string_view phase_name(TaskPhase phase) {
  switch (phase) {
    case TaskPhase::kPending:
      return "Pending";
    case TaskPhase::kAssumed:
      return "Assumed";
    case TaskPhase::kBound:
      return "Bound";
    case TaskPhase::kRunning:
      return "Running";
    case TaskPhase::kReleasing:
      return "Releasing";
    case TaskPhase::kGone:
      return "Gone";
  }
  return "";
}

}  // namespace

std::string_view to_string(Change::Kind kind) {
  switch (kind) {
    case Change::Kind::kLowerRequest:
      return "LowerRequest";
    case Change::Kind::kFree:
      return "Free";
    case Change::Kind::kRaiseLimit:
      return "RaiseLimit";
    case Change::Kind::kPreemptible:
      return "Preemptible";
    case Change::Kind::kUncordon:
      return "Uncordon";
    case Change::Kind::kWait:
      return "Wait";
    case Change::Kind::kRaiseBudget:
      return "RaiseBudget";
  }
  return "";
}

Result<Explanation> explain(const State& state, const Plan& plan, uint64_t seed,
                            std::string_view name) {
  const TaskId id = state.find_task(name);
  if (!id.valid())
    return fail(ErrorCode::kNotFound, "the scheduler does not know this pod", std::string(name),
                "ask again in a moment; a pod with another `spec.schedulerName` is not Berth's");
  const Task& task = state.task(id);
  Explanation e;
  e.task = task.name;
  e.phase = task.phase;
  e.plan = plan.id;
  e.decided = state.now();
  if (task.node.valid()) {
    const PlaceSpec place = state.spell({id, task.node, task.devices});
    e.node = place.node;
    e.devices = place.devices;
  }
  if (!task.gang.valid()) return e;
  const Gang& gang = state.gang(task.gang);
  e.gang = gang.name;
  e.gang_size = gang.min == kUndeclared ? static_cast<uint32_t>(gang.tasks.size()) : gang.min;
  if (gang.queue.valid()) e.queue = state.queue(gang.queue).name;
  e.growth_micro = gang.growth_micro;
  if (task.phase != TaskPhase::kPending) return e;
  for (const Waiting& waiting : plan.waiting)
    if (waiting.gang == gang.name) e.waiting = waiting;
  if (!e.waiting) return e;
  // Neither is of any help to what no node can ever have, or no queue takes.
  const bool never = std::ranges::any_of(e.waiting->reasons, [](const Reason& reason) {
    return reason.code == ReasonCode::kNever || reason.code == ReasonCode::kQueueMissing;
  });
  if (never)
    e.waiting->position = 0;
  else
    e.holders = holders_for(state, task.gang);
  e.changes = ChangeSearch(state, seed, task.gang).run(*e.waiting, e.holders);
  return e;
}

boost::json::value to_json(const Explanation& e) {
  using boost::json::array;
  using boost::json::object;
  object json{{"task", e.task},
              {"phase", phase_name(e.phase)},
              {"plan", e.plan},
              {"decided", format_time(e.decided)}};
  if (!e.gang.empty() && e.gang != e.task) {
    json["gang"] = e.gang;
    json["gangMinimum"] = e.gang_size;
  }
  if (!e.queue.empty()) json["queue"] = e.queue;
  if (e.growth_micro != kNotGrowth) json["growthValue"] = static_cast<double>(e.growth_micro) / 1e6;
  if (!e.node.empty()) json["node"] = e.node;
  if (!e.devices.empty()) json["devices"] = boost::json::value_from(e.devices);
  if (e.waiting) {
    array reasons;
    for (const Reason& reason : e.waiting->reasons)
      reasons.push_back(object{{"code", to_string(reason.code)}, {"message", reason.text}});
    json["reasons"] = std::move(reasons);
    object rejected;
    for (size_t i = 0; i < e.waiting->rejections.nodes.size(); ++i)
      if (const uint32_t count = e.waiting->rejections.nodes[i]; count > 0)
        rejected[to_string(static_cast<Constraint>(i))] = count;
    json["nodes"] = object{{"total", e.waiting->rejections.total}, {"rejected", rejected}};
    if (e.waiting->position > 0) json["position"] = e.waiting->position;
    json["membersThatFit"] = e.waiting->placeable;
  }
  array holders;
  for (const Holder& holder : e.holders)
    holders.push_back(object{{"gang", holder.gang},
                             {"queue", holder.queue},
                             {"devices", static_cast<double>(holder.device_milli) / 1000},
                             {"priority", holder.priority}});
  if (!holders.empty()) json["holders"] = std::move(holders);
  array changes;
  for (const Change& change : e.changes)
    changes.push_back(object{{"kind", to_string(change.kind)}, {"text", change.text}});
  if (e.waiting) json["changes"] = std::move(changes);
  return json;
}

}  // namespace berth::control
