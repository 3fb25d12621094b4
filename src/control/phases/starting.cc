#include "control/phases/starting.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/preemption/reservation.h"
#include "core/sharing/order.h"

namespace berth::control {
namespace {

using namespace core;  // NOLINT: the cycle is written in the core's terms

/// Gangs below their minimum have their turn, one at a time.
class Starting {
 public:
  explicit Starting(Decision& d) : d_(d) {}

  /// What was vacated for a gang is its own: it starts before others look for room. (Else they
  /// would see a device as kept that, a moment later, has room for them beside it.)
  bool take_up_claim(GangId id) {
    const HeldClaim* claim = d_.claim_of(id);
    if (claim == nullptr || claim->reservation) return false;
    const std::vector<TaskId> tasks = wanted(d_.state.gang(id));
    const std::vector<Placement> members = claim->members;
    if (!covers(members, tasks)) return false;
    const size_t mark = d_.trial.mark();
    d_.trial.lift(id);
    if (!place_exactly(d_.state, d_.trial, d_.entitlements(), members)) {
      d_.trial.rollback(mark);
      return false;
    }
    d_.start(id, members, false);
    return true;
  }

  void serve(GangId id) {
    const Gang& gang = d_.state.gang(id);
    const std::vector<TaskId> tasks = wanted(gang);
    const size_t have = gang.running;
    ++d_.position[gang.queue.index()];
    if (have + tasks.size() < gang.min) {
      // Those of it that ran yielded a moment ago, in this very pass.
      if (d_.claim_of(id) != nullptr) d_.drop_claim(id);
      return d_.wait(id, ReasonCode::kGangIncomplete);
    }

    const HeldClaim* claim = d_.claim_of(id);
    std::optional<Attempt> attempt;
    if (claim == nullptr && have == 0) attempt = attempt_of(gang, tasks);
    if (attempt) {
      if (const auto known = failed_.find(*attempt); known != failed_.end()) {
        Waiter waiter = known->second;
        waiter.gang = id;
        waiter.position = d_.position[gang.queue.index()];
        if (waiter.no_victims.entitled) d_.mark_blocked(id);
        d_.waiters.push_back(std::move(waiter));
        return;
      }
    }

    const bool claimed = claim != nullptr && !claim->reservation;
    if (claim != nullptr) {
      const std::vector<Placement> members = claim->members;
      d_.trial.lift(id);
      if (covers(members, tasks) && place_exactly(d_.state, d_.trial, d_.entitlements(), members))
        return d_.start(id, members, false);
    }
    // One task's rejections are told as of the end of the cycle; of several, some fit meanwhile.
    GangFit fit =
        place_gang(d_.state, d_.trial, d_.placer, d_.entitlements(), id, tasks, tasks.size() > 1);
    if (fit.whole()) return d_.start(id, fit.placed, false);
    if (backfill(id, tasks)) return;
    const ReasonCode code = claimed                             ? ReasonCode::kClaimed
                            : never_fits(d_.state, gang, tasks) ? ReasonCode::kNever
                            : fit.guarantee                     ? ReasonCode::kNotGuaranteed
                            : fit.limit                         ? ReasonCode::kQueueLimit
                                                                : ReasonCode::kInsufficient;
    // Also below a limit: its own queue's work of lower priority can make room there.
    const bool may_take = code == ReasonCode::kInsufficient || code == ReasonCode::kQueueLimit;
    NoVictims no_victims;
    if (may_take && take_back(id, tasks, fit, no_victims)) return;
    d_.trial.restore(id);
    d_.wait(id, code, fit, tasks, no_victims);
    if (!claimed) remember(attempt);
  }

 private:
  /// The members that would make it whole, or all there are.
  std::vector<TaskId> wanted(const Gang& gang) const {
    std::vector<TaskId> tasks = d_.pending(gang);
    tasks.resize(std::min(tasks.size(), size_t{gang.min} - gang.running));
    return tasks;
  }

  /// Gangs whose members ask for the same under the same conditions fail the same way, as long as
  /// nothing was freed in between: nothing is, within a pass.
  struct Attempt {
    QueueId queue;
    int32_t priority;
    ShapeId shape;
    size_t count;
    bool preemptible;
    NameId ns;
    LabelSetId labels;
    NameId topology;
    int64_t duration;
    auto operator<=>(const Attempt&) const = default;
  };

  std::optional<Attempt> attempt_of(const Gang& gang, std::span<const TaskId> tasks) const {
    const Task& first = d_.state.task(tasks.front());
    for (TaskId id : tasks) {
      const Task& task = d_.state.task(id);
      if (task.shape != first.shape || task.labels != first.labels ||
          task.preemptible != first.preemptible)
        return std::nullopt;
    }
    return Attempt{gang.queue,   gang.priority,     first.shape,
                   tasks.size(), first.preemptible, first.ns,
                   first.labels, gang.topology_key, first.expected_duration.ns};
  }

  void remember(const std::optional<Attempt>& attempt) {
    if (attempt) failed_.emplace(*attempt, d_.waiters.back());
  }

  static bool covers(const std::vector<Placement>& members, const std::vector<TaskId>& tasks) {
    return members.size() >= tasks.size() &&
           std::all_of(tasks.begin(), tasks.end(), [&](TaskId task) {
             return std::any_of(members.begin(), members.end(),
                                [&](const Placement& member) { return member.task == task; });
           });
  }

  // --- backfill ---

  /// What other gangs reserved may be used by work that ends in time or can be preempted, and by
  /// work inside a guarantee where the holder borrows.
  bool backfill(GangId id, const std::vector<TaskId>& tasks) {
    const bool guaranteed = inside_guarantee(id, tasks);
    std::vector<GangId> overridden;
    std::vector<HeldClaim> used;
    for (const HeldClaim& claim : d_.state.claims()) {
      if (!claim.reservation || claim.gang == id) continue;
      const bool override = guaranteed && is_borrowers(claim, id);
      if (!override && !may_backfill(d_.state, tasks, claim.start)) continue;
      if (override) overridden.push_back(claim.gang);
      used.push_back(claim);
    }
    if (used.empty()) return false;
    const size_t mark = d_.trial.mark();
    for (const HeldClaim& claim : used) d_.trial.lift(claim.gang);
    GangFit fit = place_gang(d_.state, d_.trial, d_.placer, d_.entitlements(), id, tasks);
    if (!fit.whole()) {
      d_.trial.rollback(mark);
      return false;
    }
    for (const HeldClaim& claim : used) d_.trial.restore(claim.gang);
    bool backfilled = false;
    for (const HeldClaim& claim : used) {
      if (!overlap(fit.placed, claim.members)) continue;
      const bool over =
          std::find(overridden.begin(), overridden.end(), claim.gang) != overridden.end();
      if (over) d_.drop_claim(claim.gang);
      backfilled |= !over;
    }
    d_.start(id, fit.placed, backfilled);
    return true;
  }

  static bool overlap(const std::vector<Placement>& some, const std::vector<Placement>& others) {
    return std::any_of(some.begin(), some.end(), [&](const Placement& mine) {
      return std::any_of(others.begin(), others.end(), [&](const Placement& theirs) {
        return mine.node == theirs.node &&
               (mine.devices == 0 || (mine.devices & theirs.devices) != 0);
      });
    });
  }

  /// A reservation of another queue's gang, which would borrow what it reserved.
  bool is_borrowers(const HeldClaim& claim, GangId id) const {
    return claim.reservation && d_.state.gang(claim.gang).queue != d_.state.gang(id).queue &&
           !inside_guarantee(claim.gang, tasks_of(claim));
  }

  /// The reservations that do not hold up this gang: it is inside a guarantee, the holders borrow.
  std::vector<HeldClaim> overridable_reservations(GangId id,
                                                  const std::vector<TaskId>& tasks) const {
    std::vector<HeldClaim> found;
    if (!inside_guarantee(id, tasks)) return found;
    for (const HeldClaim& claim : d_.state.claims())
      if (claim.gang != id && is_borrowers(claim, id)) found.push_back(claim);
    return found;
  }

  std::vector<TaskId> tasks_of(const HeldClaim& claim) const {
    std::vector<TaskId> tasks;
    tasks.reserve(claim.members.size());
    for (const Placement& member : claim.members) tasks.push_back(member.task);
    return tasks;
  }

  /// With these tasks of it, is the gang's queue still inside a guarantee that is set?
  bool inside_guarantee(GangId id, const std::vector<TaskId>& tasks) const {
    return d_.entitlements().best_standing(d_.state.gang(id).queue, tasks) ==
           Entitlements::Standing::kGuarantee;
  }

  // --- reclaim and preemption ---

  bool take_back(GangId id, const std::vector<TaskId>& tasks, const GangFit& fit,
                 NoVictims& no_victims) {
    const std::vector<HeldClaim> overridable = overridable_reservations(id, tasks);
    for (const HeldClaim& reservation : overridable) d_.trial.lift(reservation.gang);
    PreemptionResult result =
        find_victims(d_.state, d_.trial, d_.placer, d_.entitlements(), id, tasks);
    for (const HeldClaim& reservation : overridable) d_.trial.restore(reservation.gang);
    if (result.none.entitled) d_.mark_blocked(id);
    no_victims = result.none;
    if (!result.found) {
      if (result.none.protected_until) d_.wake_at(*result.none.protected_until);
      return false;
    }
    // It may hold a reservation: what it claims now takes its place.
    if (d_.claim_of(id) != nullptr) d_.drop_claim(id);
    // What others already leave behind may be enough: then nobody else need go.
    std::vector<Placement> placed = fit_after_releases(id, tasks);
    Duration grace;
    if (placed.empty()) {
      for (const Victim& victim : result.found->victims)
        for (TaskId task : victim.tasks) {
          grace = std::max(grace, d_.state.task(task).grace);
          d_.evict(task, victim.reason, id);
        }
      placed = std::move(result.found->placed);
    }
    for (const HeldClaim& reservation : overridable)
      if (overlap(placed, reservation.members)) d_.drop_claim(reservation.gang);
    for (const Placement& member : placed)
      for (TaskId task : d_.state.node(member.node).tasks)
        if (d_.state.task(task).phase == TaskPhase::kReleasing)
          grace = std::max(grace, d_.state.task(task).release_by - d_.state.now());
    d_.claim({id, false, std::move(placed), d_.state.now() + grace + kClaimSlack, {}, false});
    d_.wait(id, ReasonCode::kClaimed, fit, tasks);
    return true;
  }

  std::vector<Placement> fit_after_releases(GangId id, const std::vector<TaskId>& tasks) {
    const size_t mark = d_.trial.mark();
    for (size_t i = 0; i < d_.state.tasks().size(); ++i)
      if (d_.state.tasks()[i].phase == TaskPhase::kReleasing)
        d_.trial.vacate(TaskId{static_cast<uint32_t>(i)});
    GangFit fit = place_gang(d_.state, d_.trial, d_.placer, d_.entitlements(), id, tasks);
    d_.trial.rollback(mark);
    return std::move(fit.placed);
  }

  Decision& d_;
  std::map<Attempt, Waiter> failed_;
};

}  // namespace

void start_minimums(Decision& d, std::vector<GangId> gangs) {
  Starting starting(d);
  std::sort(gangs.begin(), gangs.end(),
            [&](GangId a, GangId b) { return serves_before(d.state.gang(a), d.state.gang(b)); });
  std::erase_if(gangs, [&](GangId gang) { return starting.take_up_claim(gang); });
  ServiceOrder order(d.state, d.entitlements(), gangs);
  while (const std::optional<GangId> gang = order.next()) starting.serve(*gang);
}

}  // namespace berth::control
