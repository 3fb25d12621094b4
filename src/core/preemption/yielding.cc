#include "core/preemption/yielding.h"

#include <algorithm>
#include <tuple>

namespace berth::core {
namespace {

/// What was only assumed may have been placed a moment ago, in this very decision.
bool can_stop(const Task& task) {
  return task.phase == TaskPhase::kBound || task.phase == TaskPhase::kRunning;
}

auto key_of(const State& state, const Unit& unit) {
  const int64_t worth = state.gang(unit.victim.gang).growth_micro;
  return std::tuple(unit.priority, !unit.victim.growth, worth, unit.lost, -unit.started.ns,
                    std::string_view(state.gang(unit.victim.gang).name),
                    unit.victim.tasks.front().value);
}

}  // namespace

Yielding::Yielding(const State& state, const Entitlements& entitlements, GangId gang,
                   std::span<const TaskId> tasks)
    : state_(state), entitlements_(entitlements), gang_(gang), tasks_(tasks) {
  collect();
}

Charge Yielding::charge_of(const Task& task) const {
  const Shape& shape = state_.shape(task.shape);
  return {shape.request.cpu_milli, shape.request.memory_bytes, task.charged_accelerator,
          task.charged_milli};
}

Time Yielding::protection_end(const Queue& queue, Time started) const {
  const Gang& gang = state_.gang(gang_);
  const Time blocked = gang.blocked.ns != 0 ? gang.blocked : state_.now();
  return std::min(started + queue.times.protection,
                  blocked + state_.queue(gang.queue).times.reclaim_delay);
}

bool Yielding::backfilled_past_estimate(const Task& task) const {
  if (!task.backfilled) return false;
  const std::optional<DurationBelief> belief = state_.duration_of(task);
  if (belief && state_.now() < task.started + belief->at_most(0.5)) return false;
  const auto mine = std::find_if(state_.claims().begin(), state_.claims().end(),
                                 [&](const HeldClaim& claim) { return claim.gang == gang_; });
  return mine != state_.claims().end() && mine->reservation &&
         std::any_of(mine->members.begin(), mine->members.end(),
                     [&](const Placement& member) { return member.node == task.node; });
}

void Yielding::add_unit(const Gang& gang, GangId id, std::vector<TaskId> tasks, bool growth,
                        bool own) {
  Unit unit;
  unit.queue = gang.queue;
  unit.priority = gang.priority;
  unit.own = own;
  unit.started = Time{INT64_MIN};
  unit.backfilled = true;
  for (TaskId task_id : tasks) {
    const Task& task = state_.task(task_id);
    unit.lost += lost_work(state_, task);
    unit.started = std::max(unit.started, task.started);
    unit.backfilled = unit.backfilled && backfilled_past_estimate(task);
    unit.charges.push_back(charge_of(task));
  }
  unit.protected_until =
      unit.backfilled ? Time{} : protection_end(state_.queue(gang.queue), unit.started);
  const EvictReason reason = unit.backfilled ? EvictReason::kBackfill
                             : own           ? EvictReason::kPriority
                                             : EvictReason::kReclaim;
  unit.victim = {id, std::move(tasks), growth, reason};
  if (unit.protected_until > state_.now()) {
    any_protected_ = true;
    if (!first_unprotected_ || unit.protected_until < *first_unprotected_)
      first_unprotected_ = unit.protected_until;
  }
  units_.push_back(std::move(unit));
}

bool Yielding::could_yield(const Gang& gang, bool own) const {
  if (gang.running == 0) return false;
  if (own ? gang.priority < state_.gang(gang_).priority : has_standing_over(gang.queue))
    return true;
  return std::any_of(gang.tasks.begin(), gang.tasks.end(),
                     [&](TaskId task) { return state_.task(task).backfilled; });
}

bool Yielding::has_standing_over(QueueId leaf) const {
  const QueueId mine = entitlements_.below_common_ancestor(state_.gang(gang_).queue, leaf).first;
  return standing_of(mine) != Entitlements::Standing::kNone;
}

void Yielding::add_gang(GangId id, bool own) {
  const Gang& gang = state_.gang(id);
  if (!could_yield(gang, own)) return;
  std::vector<TaskId> holding;
  for (TaskId task_id : gang.tasks) {
    const Task& task = state_.task(task_id);
    if (task.phase == TaskPhase::kAssumed) return;
    if (!can_stop(task)) continue;
    if (!task.preemptible) return;  // one member that may not yield keeps the gang
    holding.push_back(task_id);
  }
  if (holding.empty()) return;
  const size_t keep = std::min<size_t>(gang.min, holding.size());
  if (holding.size() > keep) {
    std::sort(holding.begin(), holding.end(), [&](TaskId a, TaskId b) {
      const Task& x = state_.task(a);
      const Task& y = state_.task(b);
      return std::tuple(x.started, x.sequence) < std::tuple(y.started, y.sequence);
    });
    for (size_t i = holding.size(); i > keep; --i) add_unit(gang, id, {holding[i - 1]}, true, own);
    holding.resize(keep);
  }
  add_unit(gang, id, std::move(holding), gang.is_growth(), own);
}

void Yielding::collect() {
  const Gang& gang = state_.gang(gang_);
  Line backfilled;
  const auto add_line = [&](QueueId leaf, bool own) {
    Line line{leaf, own, {}};
    const size_t first = units_.size();
    for (GangId other : state_.queue(leaf).gangs)
      if (other != gang_) add_gang(other, own);
    for (size_t i = first; i < units_.size(); ++i) {
      if (units_[i].backfilled)
        backfilled.units.push_back(i);
      else if (!own || units_[i].priority < gang.priority)
        line.units.push_back(i);
    }
    if (!line.units.empty()) lines_.push_back(std::move(line));
  };
  for (QueueId at = gang.queue; at.valid(); at = state_.queue(at).parent)
    standings_.emplace_back(at, entitlements_.best_standing(at, tasks_));
  add_line(gang.queue, true);
  entitled_ = !lines_.empty();
  const bool any = std::any_of(standings_.begin(), standings_.end(), [](const auto& entry) {
    return entry.second != Entitlements::Standing::kNone;
  });
  entitled_ |= any;
  for (size_t i = 0; i < state_.queues().size(); ++i) {
    const QueueId leaf{static_cast<uint32_t>(i)};
    if (state_.queues()[i].alive && leaf != gang.queue) add_line(leaf, false);
  }
  if (!backfilled.units.empty()) lines_.push_back(std::move(backfilled));
  for (Line& line : lines_)
    std::sort(line.units.begin(), line.units.end(), [&](size_t a, size_t b) {
      return key_of(state_, units_[a]) < key_of(state_, units_[b]);
    });
}

Entitlements::Standing Yielding::standing_of(QueueId mine) const {
  const auto known = std::find_if(standings_.begin(), standings_.end(),
                                  [&](const auto& entry) { return entry.first == mine; });
  return known == standings_.end() ? Entitlements::Standing::kNone : known->second;
}

bool Yielding::is_above_fair_share(const Unit& unit) const {
  const QueueId theirs =
      entitlements_.below_common_ancestor(state_.gang(gang_).queue, unit.queue).second;
  return entitlements_.excess(theirs) > 1e-9;
}

bool Yielding::may_yield(const Unit& unit, bool ignore_protection) const {
  if (!ignore_protection && unit.protected_until > state_.now()) return false;
  if (unit.own || unit.backfilled) return true;
  const auto [mine, theirs] =
      entitlements_.below_common_ancestor(state_.gang(gang_).queue, unit.queue);
  const Entitlements::Standing standing = standing_of(mine);
  if (standing == Entitlements::Standing::kNone) return false;
  if (standing == Entitlements::Standing::kFairShare && !is_above_fair_share(unit)) return false;
  // Borrowed all the way down: inside no guarantee between the common ancestor and the leaf.
  for (QueueId at = unit.queue;; at = state_.queue(at).parent) {
    const bool borrowed =
        std::any_of(unit.charges.begin(), unit.charges.end(),
                    [&](const Charge& charge) { return entitlements_.borrows(at, charge); });
    if (!borrowed) return false;
    if (at == theirs) return true;
  }
}

std::vector<double> Yielding::excess_of(const Line& line) const {
  if (!line.leaf.valid()) return {1e18};
  if (line.own) return {-1e18};
  const auto [mine, theirs] =
      entitlements_.below_common_ancestor(state_.gang(gang_).queue, line.leaf);
  std::vector<double> path;
  for (QueueId at = line.leaf;; at = state_.queue(at).parent) {
    path.insert(path.begin(), entitlements_.excess(at));
    if (at == theirs) return path;
  }
}

bool Yielding::growth_left(size_t whole, const std::vector<bool>& taken) const {
  for (size_t i = whole; i > 0 && units_[i - 1].victim.gang == units_[whole].victim.gang; --i)
    if (!taken[i - 1]) return true;
  return false;
}

std::optional<size_t> Yielding::next(const std::vector<bool>& taken, bool ignore_protection) const {
  std::optional<size_t> best;
  std::vector<double> best_excess;
  for (const Line& line : lines_) {
    const std::vector<double> excess = excess_of(line);
    if (best && excess < best_excess) continue;
    const auto found = std::find_if(line.units.begin(), line.units.end(), [&](size_t i) {
      return !taken[i] && (units_[i].victim.growth || !growth_left(i, taken)) &&
             may_yield(units_[i], ignore_protection);
    });
    if (found == line.units.end()) continue;
    if (!best || excess > best_excess ||
        key_of(state_, units_[*found]) < key_of(state_, units_[*best])) {
      best = *found;
      best_excess = excess;
    }
  }
  return best;
}

bool Yielding::is_whole_gang(size_t i) const {
  const bool has_growth = i > 0 && units_[i - 1].victim.gang == units_[i].victim.gang;
  return !units_[i].victim.growth && !has_growth;
}

}  // namespace berth::core
