#include "core/preemption/victims.h"

#include <algorithm>
#include <tuple>

#include "core/placement/gang.h"

namespace berth::core {
namespace {

/// What was only assumed may have been placed a moment ago, in this very decision.
bool can_stop(const Task& task) {
  return task.phase == TaskPhase::kBound || task.phase == TaskPhase::kRunning;
}

/// What could yield together. A gang's growth stands before its minimum in the list of units.
struct Unit {
  Victim victim;
  QueueId queue;
  int32_t priority = 0;
  int64_t lost = 0;
  Time started;
  Time protected_until;
  bool own = false;
  bool backfilled = false;
  std::vector<Charge> charges;
};

/// Units that yield one after the other: of one leaf, or those that were backfilled.
struct Line {
  QueueId leaf;  ///< none: backfilled units of any queue
  bool own = false;
  std::vector<size_t> units;  ///< in the order in which they yield
};

auto key_of(const State& state, const Unit& unit) {
  return std::tuple(unit.priority, !unit.victim.growth, unit.lost, -unit.started.ns,
                    std::string_view(state.gang(unit.victim.gang).name),
                    unit.victim.tasks.front().value);
}

class Search {
 public:
  Search(State& state, Trial& trial, Placer& placer, const Entitlements& entitlements, GangId gang,
         std::span<const TaskId> tasks)
      : state_(state),
        trial_(trial),
        placer_(placer),
        entitlements_(entitlements),
        gang_(gang),
        tasks_(tasks) {}

  PreemptionResult run() {
    PreemptionResult result;
    collect();
    result.none.entitled = entitled_;
    if (units_.empty()) return result;
    result.found = search(false);
    if (!result.found && any_protected_) {
      // Would it fit without protections? Then time will tell; else it is not what holds it up.
      if (search(true)) {
        result.none.is_protected = true;
        result.none.protected_until = first_unprotected_;
      }
    }
    return result;
  }

 private:
  Charge charge_of(const Task& task) const {
    const Shape& shape = state_.shape(task.shape);
    return {shape.request.cpu_milli, shape.request.memory_bytes, task.charged_accelerator,
            task.charged_milli};
  }

  Time protection_end(const Queue& queue, Time started) const {
    const Gang& gang = state_.gang(gang_);
    const Time blocked = gang.blocked.ns != 0 ? gang.blocked : state_.now();
    return std::min(started + queue.times.protection,
                    blocked + state_.queue(gang.queue).times.reclaim_delay);
  }

  bool backfilled_past_estimate(const Task& task) const {
    if (!task.backfilled) return false;
    const std::optional<DurationBelief> belief = state_.duration_of(task);
    if (belief && state_.now() < task.started + belief->at_most(0.5)) return false;
    const auto mine = std::find_if(state_.claims().begin(), state_.claims().end(),
                                   [&](const HeldClaim& claim) { return claim.gang == gang_; });
    return mine != state_.claims().end() && mine->reservation &&
           std::any_of(mine->members.begin(), mine->members.end(),
                       [&](const Placement& member) { return member.node == task.node; });
  }

  void add_unit(const Gang& gang, GangId id, std::vector<TaskId> tasks, bool growth, bool own) {
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

  /// Of the own queue only lower priority yields, of others what they must give back; anywhere what
  /// was backfilled.
  bool could_yield(const Gang& gang, bool own) const {
    if (gang.running == 0) return false;
    if (own ? gang.priority < state_.gang(gang_).priority : has_standing_over(gang.queue))
      return true;
    return std::any_of(gang.tasks.begin(), gang.tasks.end(),
                       [&](TaskId task) { return state_.task(task).backfilled; });
  }

  bool has_standing_over(QueueId leaf) const {
    const QueueId mine = entitlements_.below_common_ancestor(state_.gang(gang_).queue, leaf).first;
    return standing_of(mine) != Entitlements::Standing::kNone;
  }

  void add_gang(GangId id, bool own) {
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
      for (size_t i = holding.size(); i > keep; --i)
        add_unit(gang, id, {holding[i - 1]}, true, own);
      holding.resize(keep);
    }
    add_unit(gang, id, std::move(holding), false, own);
  }

  void collect() {
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

  Entitlements::Standing standing_of(QueueId mine) const {
    const auto known = std::find_if(standings_.begin(), standings_.end(),
                                    [&](const auto& entry) { return entry.first == mine; });
    return known == standings_.end() ? Entitlements::Standing::kNone : known->second;
  }

  /// May this unit yield, as things are now in the trial?
  bool may_yield(const Unit& unit, bool ignore_protection) const {
    if (!ignore_protection && unit.protected_until > state_.now()) return false;
    if (unit.own || unit.backfilled) return true;
    const auto [mine, theirs] =
        entitlements_.below_common_ancestor(state_.gang(gang_).queue, unit.queue);
    const Entitlements::Standing standing = standing_of(mine);
    if (standing == Entitlements::Standing::kNone) return false;
    if (standing == Entitlements::Standing::kFairShare && entitlements_.excess(theirs) <= 1e-9)
      return false;
    // Borrowed all the way down: inside no guarantee between the common ancestor and the leaf.
    for (QueueId at = unit.queue;; at = state_.queue(at).parent) {
      const bool borrowed =
          std::any_of(unit.charges.begin(), unit.charges.end(),
                      [&](const Charge& charge) { return entitlements_.borrows(at, charge); });
      if (!borrowed) return false;
      if (at == theirs) return true;
    }
  }

  /// How far the line's queues are above their entitlement, from below the common ancestor down.
  std::vector<double> excess_of(const Line& line) const {
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

  /// A gang's minimum goes only after its growth.
  bool growth_left(size_t whole, const std::vector<bool>& taken) const {
    for (size_t i = whole; i > 0 && units_[i - 1].victim.gang == units_[whole].victim.gang; --i)
      if (!taken[i - 1]) return true;
    return false;
  }

  /// The next to yield: the index into units_, or none.
  std::optional<size_t> next(const std::vector<bool>& taken, bool ignore_protection) const {
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

  void vacate(const Unit& unit) {
    for (TaskId task : unit.victim.tasks) trial_.vacate(task);
  }

  bool any_reclaimed(const std::vector<size_t>& units) const {
    return std::any_of(units.begin(), units.end(),
                       [&](size_t i) { return units_[i].victim.reason == EvictReason::kReclaim; });
  }

  /// With what the gang would really be charged: is the queue that was compared with each victim's
  /// still entitled to it?
  bool keeps_its_claim(const std::vector<size_t>& units, const Usage& charged) const {
    const QueueId own = state_.gang(gang_).queue;
    QueueId checked;
    for (size_t i : units) {
      if (units_[i].victim.reason != EvictReason::kReclaim) continue;
      const QueueId mine = entitlements_.below_common_ancestor(own, units_[i].queue).first;
      if (mine == checked) continue;
      if (entitlements_.standing(mine, charged) < standing_of(mine)) return false;
      checked = mine;
    }
    return true;
  }

  /// Does the gang fit now, and does its claim hold for the kinds that it got?
  std::vector<Placement> fit(const std::vector<size_t>& units) {
    const size_t mark = trial_.mark();
    GangFit fit = place_gang(state_, trial_, placer_, entitlements_, gang_, tasks_);
    Usage charged;
    for (const Placement& placement : fit.placed)
      add_to(charged, charge_of(state_.task(placement.task)));
    trial_.rollback(mark);
    if (!fit.whole()) return {};
    if (!keeps_its_claim(units, charged)) return {};
    return std::move(fit.placed);
  }

  std::vector<Placement> fit_without(const std::vector<size_t>& units) {
    const size_t mark = trial_.mark();
    for (size_t unit : units) vacate(units_[unit]);
    std::vector<Placement> placed = fit(units);
    trial_.rollback(mark);
    return placed;
  }

  /// With a gang's minimum goes its growth.
  void complete(std::vector<size_t>& order) const {
    for (size_t n = 0; n < order.size(); ++n) {
      const size_t whole = order[n];
      if (units_[whole].victim.growth) continue;
      for (size_t i = whole; i > 0 && units_[i - 1].victim.gang == units_[whole].victim.gang; --i)
        if (std::find(order.begin(), order.end(), i - 1) == order.end())
          order.insert(order.begin() + static_cast<ptrdiff_t>(n), i - 1), ++n;
    }
  }

  std::optional<Preemption> search(bool ignore_protection) {
    const size_t mark = trial_.mark();
    std::vector<bool> taken(units_.size(), false);
    std::vector<size_t> order;
    std::vector<Placement> placed;
    // Try after each of the first few, then ever more rarely; the prefix is shortened below.
    size_t next_try = 1;
    for (;;) {
      const std::optional<size_t> unit = next(taken, ignore_protection);
      if (unit) {
        taken[*unit] = true;
        order.push_back(*unit);
        vacate(units_[*unit]);
      }
      if (order.empty()) break;
      if (!unit || order.size() >= next_try) {
        placed = fit(order);
        if (!placed.empty() || !unit) break;
        next_try = order.size() < 8 ? order.size() + 1 : order.size() * 2;
      }
    }
    trial_.rollback(mark);
    if (placed.empty()) return std::nullopt;

    size_t low = 1;
    size_t high = order.size();
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      std::vector<Placement> fits_here =
          fit_without({order.begin(), order.begin() + static_cast<ptrdiff_t>(middle)});
      if (fits_here.empty()) {
        low = middle + 1;
      } else {
        high = middle;
        placed = std::move(fits_here);
      }
    }
    order.resize(low);
    drop_untouched(order, placed);
    spare(order, placed);
    Preemption found{{}, std::move(placed)};
    for (size_t unit : order) found.victims.push_back(units_[unit].victim);
    return found;
  }

  /// Gives back whom it can, the last chosen first. Without any that other queues must give up, the
  /// gang need no longer be entitled to others' devices: then all are looked at once more.
  void spare(std::vector<size_t>& order, std::vector<Placement>& placed) {
    for (size_t i = order.size(); i > 0 && order.size() > 1; --i) {
      std::vector<size_t> fewer = order;
      fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i - 1));
      complete(fewer);
      if (fewer.size() == order.size()) continue;
      std::vector<Placement> fits_here = fit_without(fewer);
      if (fits_here.empty()) continue;
      const bool none_left = any_reclaimed(order) && !any_reclaimed(fewer);
      order = std::move(fewer);
      placed = std::move(fits_here);
      if (none_left) i = order.size() + 1;
    }
  }

  /// Victims on none of the nodes that the gang goes to need not yield for those places (unless a
  /// queue's limit makes them): checked in one step, as there may be hundreds.
  void drop_untouched(std::vector<size_t>& order, std::vector<Placement>& placed) {
    std::vector<size_t> fewer;
    for (size_t unit : order) {
      const bool touches = std::any_of(
          units_[unit].victim.tasks.begin(), units_[unit].victim.tasks.end(), [&](TaskId task) {
            return std::any_of(placed.begin(), placed.end(), [&](const Placement& p) {
              return p.node == state_.task(task).node;
            });
          });
      if (touches) fewer.push_back(unit);
    }
    complete(fewer);
    if (fewer.size() == order.size() || fewer.empty()) return;
    std::vector<Placement> fits_here = fit_without(fewer);
    if (fits_here.empty()) return;
    order = std::move(fewer);
    placed = std::move(fits_here);
  }

  State& state_;
  Trial& trial_;
  Placer& placer_;
  const Entitlements& entitlements_;
  GangId gang_;
  std::span<const TaskId> tasks_;
  std::vector<Unit> units_;
  std::vector<Line> lines_;
  std::vector<std::pair<QueueId, Entitlements::Standing>> standings_;  ///< of the own queues
  bool entitled_ = false;
  bool any_protected_ = false;
  std::optional<Time> first_unprotected_;
};

}  // namespace

int64_t lost_work(const State& state, const Task& task) {
  const Time since = std::max(task.started, task.last_checkpoint);
  const Duration lost = std::clamp(state.now() - since, Duration{0}, state.policy().lost_work_cap);
  const int64_t devices = task.charged_milli > 0 ? task.charged_milli : 1000;
  return lost.to_milliseconds() * devices / 1000;
}

PreemptionResult find_victims(State& state, Trial& trial, Placer& placer,
                              const Entitlements& entitlements, GangId gang,
                              std::span<const TaskId> tasks) {
  return Search(state, trial, placer, entitlements, gang, tasks).run();
}

}  // namespace berth::core
