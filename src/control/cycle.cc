#include "control/cycle.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "control/reasons.h"
#include "core/model/trial.h"
#include "core/placement/gang.h"
#include "core/preemption/reservation.h"
#include "core/preemption/victims.h"
#include "core/sharing/entitlement.h"
#include "core/sharing/order.h"

namespace berth::control {
namespace {

using namespace core;  // NOLINT: the cycle is written in the core's terms

/// A claim outlives the grace of its victims by this much.
constexpr Duration kClaimSlack = Duration::seconds(30);
/// A reservation without an expected start is worked out anew after this long.
constexpr Duration kReservationRefresh = Duration::minutes(1);

bool runs(const Task& task) {
  return task.holds_place() && task.phase != TaskPhase::kReleasing;
}

class Cycle {
 public:
  Cycle(State& state, Placer& placer, uint64_t plan_id)
      : state_(state), placer_(placer), trial_(state) {
    plan_.id = plan_id;
  }

  // The numbers are those of the design. Phase 1, applying the events, is the caller's; phase 2
  // orders the gangs' demand by minimum and growth.
  Plan run() {
    finish_started_gangs();
    drop_stale_claims();
    entitlements_.emplace(state_);
    // 2. Demand.
    std::vector<GangId> starting = gangs_that_want(false);
    // 3. and 4. Share and place minimums, with reclaim and preemption, in share order.
    ServiceOrder order(state_, *entitlements_, std::move(starting));
    while (const std::optional<GangId> gang = order.next()) serve(*gang);
    reserve_for_heads();
    // 5. is part of `serve`: who may use what is reserved. Growth comes after all minimums.
    ServiceOrder growth(state_, *entitlements_, gangs_that_want(true));
    while (const std::optional<GangId> gang = growth.next()) grow(*gang);
    // 7. The plan, with reasons for everything that waits.
    explain_waiting();
    return std::move(plan_);
  }

 private:
  void act(Action action) { plan_.actions.push_back(std::move(action)); }
  void wake_at(Time time) {
    if (time <= state_.now()) return;
    if (!plan_.next_wakeup || time < *plan_.next_wakeup) plan_.next_wakeup = time;
  }

  std::vector<TaskId> pending(const Gang& gang) const {
    std::vector<TaskId> tasks;
    for (TaskId id : gang.tasks)
      if (state_.task(id).phase == TaskPhase::kPending && !state_.task(id).gated)
        tasks.push_back(id);
    return tasks;
  }
  size_t running(const Gang& gang) const {
    return static_cast<size_t>(std::count_if(gang.tasks.begin(), gang.tasks.end(),
                                             [&](TaskId id) { return runs(state_.task(id)); }));
  }

  // --- gangs that have started: roll forward, make whole, or give up whole ---

  void finish_started_gangs() {
    for (size_t i = 0; i < state_.gangs().size(); ++i) {
      const GangId id{static_cast<uint32_t>(i)};
      const Gang& gang = state_.gangs()[i];
      if (!gang.alive) continue;
      if (!gang.intent.empty()) roll_forward(id);
      const size_t holding = running(gang);
      const bool broken = gang.declared && holding > 0 && holding < gang.min;
      if (!broken) {
        if (gang.below_min_since.ns != 0) act(MarkBroken{gang.name, std::nullopt});
        continue;
      }
      // Starting gangs are whole within the intent's time, running ones within their queue's.
      const bool starting = !gang.intent.empty();
      const Duration patience = starting ? state_.policy().intent_timeout
                                : gang.queue.valid()
                                    ? state_.queue(gang.queue).times.replace_timeout
                                    : state_.policy().default_times.replace_timeout;
      const Time since = gang.below_min_since.ns != 0 ? gang.below_min_since : state_.now();
      if (gang.below_min_since.ns == 0) act(MarkBroken{gang.name, since});
      if (state_.now() < since + patience) {
        wake_at(since + patience);
        continue;
      }
      evict_whole(id, starting ? EvictReason::kGangIncomplete : EvictReason::kGangBroken);
      if (starting) act(ClearIntent{gang.name});
    }
  }

  void roll_forward(GangId id) {
    const Gang& gang = state_.gang(id);
    const bool carried_out =
        std::all_of(gang.intent.begin(), gang.intent.end(), [&](const Placement& member) {
          return state_.task(member.task).phase >= TaskPhase::kBound;
        });
    if (carried_out) {
      act(ClearIntent{gang.name});
      return;
    }
    Entitlements entitlements(state_);
    for (const Placement& member : gang.intent) {
      if (state_.task(member.task).phase != TaskPhase::kPending) continue;
      trial_.lift(id);
      const Placement one[] = {member};
      if (!place_exactly(state_, trial_, entitlements, one)) continue;
      act(Bind{state_.spell(member), false});
    }
    // Nothing of it came about: it starts anew.
    if (running(gang) == 0) {
      act(ClearIntent{gang.name});
      wake_at(state_.now() + Duration::milliseconds(1));
    }
  }

  void evict_whole(GangId id, EvictReason reason) {
    for (TaskId task : state_.gang(id).tasks)
      if (runs(state_.task(task))) evict(task, reason, {});
  }

  void evict(TaskId id, EvictReason reason, GangId beneficiary) {
    const Task& task = state_.task(id);
    act(Evict{task.name, reason,
              beneficiary.valid() ? state_.gang(beneficiary).name : std::string()});
    if (beneficiary.valid())
      trial_.release(id, beneficiary, state_.now() + task.grace);
    else
      trial_.release(id, task.gang, state_.now() + task.grace);
  }

  void drop_stale_claims() {
    std::vector<GangId> stale;
    for (const HeldClaim& claim : state_.claims()) {
      const Gang& gang = state_.gang(claim.gang);
      if (claim.expires <= state_.now() || running(gang) >= gang.min || pending(gang).empty())
        stale.push_back(claim.gang);
      else
        wake_at(claim.expires);
    }
    for (GangId gang : stale) drop_claim(gang);
  }

  void drop_claim(GangId gang) {
    act(Unclaim{state_.gang(gang).name});
    trial_.unclaim(gang);
  }

  const HeldClaim* claim_of(GangId gang) const {
    for (const HeldClaim& claim : state_.claims())
      if (claim.gang == gang) return &claim;
    return nullptr;
  }

  // --- demand ---

  /// Gangs with tasks to place: below their minimum, or (`growth`) between minimum and maximum.
  std::vector<GangId> gangs_that_want(bool growth) {
    std::vector<GangId> gangs;
    for (size_t i = 0; i < state_.gangs().size(); ++i) {
      const GangId id{static_cast<uint32_t>(i)};
      const Gang& gang = state_.gangs()[i];
      if (!gang.alive || !gang.intent.empty()) continue;
      const size_t waiting = pending(gang).size();
      const size_t have = running(gang);
      if (growth) {
        if (waiting > 0 && gang.queue.valid() && have >= gang.min && have < gang.max)
          gangs.push_back(id);
        continue;
      }
      if (have >= gang.min) continue;
      const auto gated = std::count_if(gang.tasks.begin(), gang.tasks.end(), [&](TaskId task) {
        return state_.task(task).phase == TaskPhase::kPending && state_.task(task).gated;
      });
      if (waiting + static_cast<size_t>(gated) == 0) continue;
      if (gang.min == kUndeclared)
        wait(id, ReasonCode::kGangIncomplete);
      else if (!gang.queue.valid())
        wait(id, ReasonCode::kQueueMissing);
      else if (waiting == 0 || (gated > 0 && have + waiting < gang.min))
        wait(id, ReasonCode::kGated);
      else if (have + waiting < gang.min)
        wait(id, ReasonCode::kGangIncomplete);
      else
        gangs.push_back(id);
    }
    return gangs;
  }

  // --- share and place ---

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
    const Task& first = state_.task(tasks.front());
    for (TaskId id : tasks) {
      const Task& task = state_.task(id);
      if (task.shape != first.shape || task.labels != first.labels ||
          task.preemptible != first.preemptible)
        return std::nullopt;
    }
    return Attempt{gang.queue,   gang.priority,     first.shape,
                   tasks.size(), first.preemptible, first.ns,
                   first.labels, gang.topology_key, first.expected_duration.ns};
  }

  void serve(GangId id) {
    const Gang& gang = state_.gang(id);
    std::vector<TaskId> tasks = pending(gang);
    const size_t have = running(gang);
    tasks.resize(std::min(tasks.size(), gang.min - have));
    ++position_[gang.queue.index()];

    const HeldClaim* claim = claim_of(id);
    std::optional<Attempt> attempt;
    if (claim == nullptr && have == 0) attempt = attempt_of(gang, tasks);
    if (attempt) {
      if (const auto known = failed_.find(*attempt); known != failed_.end()) {
        Waiter waiter = known->second;
        waiter.gang = id;
        waiter.position = position_[gang.queue.index()];
        if (waiter.no_victims.entitled) mark_blocked(id);
        waiters_.push_back(std::move(waiter));
        return;
      }
    }

    const bool claimed = claim != nullptr && !claim->reservation;
    if (claim != nullptr) {
      const std::vector<Placement> members = claim->members;
      trial_.lift(id);
      if (covers(members, tasks) && place_exactly(state_, trial_, *entitlements_, members))
        return start(id, members, false);
    }
    // One task's rejections are told as of the end of the cycle; of several, some fit meanwhile.
    GangFit fit = place_gang(state_, trial_, placer_, *entitlements_, id, tasks, tasks.size() > 1);
    if (fit.whole()) return start(id, fit.placed, false);
    if (backfill(id, tasks)) return;
    const ReasonCode code = claimed                           ? ReasonCode::kClaimed
                            : fit.guarantee                   ? ReasonCode::kNotGuaranteed
                            : fit.limit                       ? ReasonCode::kQueueLimit
                            : never_fits(state_, gang, tasks) ? ReasonCode::kNever
                                                              : ReasonCode::kInsufficient;
    // Also below a limit: its own queue's work of lower priority can make room there.
    const bool may_take = code == ReasonCode::kInsufficient || code == ReasonCode::kQueueLimit;
    if (may_take && take_back(id, tasks, fit)) return;
    trial_.restore(id);
    wait(id, code, fit, tasks);
    if (!claimed) remember(attempt);
  }

  void remember(const std::optional<Attempt>& attempt) {
    if (attempt) failed_.emplace(*attempt, waiters_.back());
  }

  static bool covers(const std::vector<Placement>& members, const std::vector<TaskId>& tasks) {
    return members.size() >= tasks.size() &&
           std::all_of(tasks.begin(), tasks.end(), [&](TaskId task) {
             return std::any_of(members.begin(), members.end(),
                                [&](const Placement& member) { return member.task == task; });
           });
  }

  void start(GangId id, const std::vector<Placement>& placed, bool backfilled) {
    const Gang& gang = state_.gang(id);
    if (claim_of(id) != nullptr) drop_claim(id);
    if (gang.blocked.ns != 0) act(MarkBlocked{gang.name, std::nullopt});
    if (running(gang) > placed.size()) act(MarkBroken{gang.name, std::nullopt});
    if (placed.size() > 1) {
      PersistIntent intent{gang.name, plan_.id, {}};
      for (const Placement& placement : placed) intent.members.push_back(state_.spell(placement));
      act(std::move(intent));
    }
    for (const Placement& placement : placed) act(Bind{state_.spell(placement), backfilled});
  }

  /// What other gangs reserved may be used by work that ends in time or can be preempted, and by
  /// work inside a guarantee where the holder borrows.
  bool backfill(GangId id, const std::vector<TaskId>& tasks) {
    const bool guaranteed = inside_guarantee(id, tasks);
    std::vector<GangId> overridden;
    std::vector<HeldClaim> used;
    for (const HeldClaim& claim : state_.claims()) {
      if (!claim.reservation || claim.gang == id) continue;
      const bool override = guaranteed && is_borrowers(claim, id);
      if (!override && !may_backfill(state_, tasks, claim.start)) continue;
      if (override) overridden.push_back(claim.gang);
      used.push_back(claim);
    }
    if (used.empty()) return false;
    const size_t mark = trial_.mark();
    for (const HeldClaim& claim : used) trial_.lift(claim.gang);
    GangFit fit = place_gang(state_, trial_, placer_, *entitlements_, id, tasks);
    if (!fit.whole()) {
      trial_.rollback(mark);
      return false;
    }
    for (const HeldClaim& claim : used) trial_.restore(claim.gang);
    bool backfilled = false;
    for (const HeldClaim& claim : used) {
      if (!overlap(fit.placed, claim.members)) continue;
      const bool over =
          std::find(overridden.begin(), overridden.end(), claim.gang) != overridden.end();
      if (over) drop_claim(claim.gang);
      backfilled |= !over;
    }
    start(id, fit.placed, backfilled);
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
    return claim.reservation && state_.gang(claim.gang).queue != state_.gang(id).queue &&
           !inside_guarantee(claim.gang, tasks_of(claim));
  }

  /// The reservations that do not hold up this gang: it is inside a guarantee, the holders borrow.
  std::vector<HeldClaim> overridable_reservations(GangId id,
                                                  const std::vector<TaskId>& tasks) const {
    std::vector<HeldClaim> found;
    if (!inside_guarantee(id, tasks)) return found;
    for (const HeldClaim& claim : state_.claims())
      if (claim.gang != id && is_borrowers(claim, id)) found.push_back(claim);
    return found;
  }

  std::vector<TaskId> tasks_of(const HeldClaim& claim) const {
    std::vector<TaskId> tasks;
    for (const Placement& member : claim.members) tasks.push_back(member.task);
    return tasks;
  }

  /// With these tasks of it, is the gang's queue still inside a guarantee that is set?
  bool inside_guarantee(GangId id, const std::vector<TaskId>& tasks) const {
    return entitlements_->best_standing(state_.gang(id).queue, tasks) ==
           Entitlements::Standing::kGuarantee;
  }

  // --- reclaim and preemption ---

  bool take_back(GangId id, const std::vector<TaskId>& tasks, const GangFit& fit) {
    const std::vector<HeldClaim> overridable = overridable_reservations(id, tasks);
    for (const HeldClaim& reservation : overridable) trial_.lift(reservation.gang);
    PreemptionResult result = find_victims(state_, trial_, placer_, *entitlements_, id, tasks);
    for (const HeldClaim& reservation : overridable) trial_.restore(reservation.gang);
    if (result.none.entitled) mark_blocked(id);
    no_victims_ = result.none;
    if (!result.found) {
      if (result.none.protected_until) wake_at(*result.none.protected_until);
      return false;
    }
    no_victims_ = {};
    // It may hold a reservation: what it claims now takes its place.
    if (claim_of(id) != nullptr) drop_claim(id);
    // What others already leave behind may be enough: then nobody else need go.
    std::vector<Placement> placed = fit_after_releases(id, tasks);
    Duration grace;
    if (placed.empty()) {
      for (const Victim& victim : result.found->victims)
        for (TaskId task : victim.tasks) {
          grace = std::max(grace, state_.task(task).grace);
          evict(task, victim.reason, id);
        }
      placed = std::move(result.found->placed);
    }
    for (const HeldClaim& reservation : overridable)
      if (overlap(placed, reservation.members)) drop_claim(reservation.gang);
    for (const Placement& member : placed)
      for (TaskId task : state_.node(member.node).tasks)
        if (state_.task(task).phase == TaskPhase::kReleasing)
          grace = std::max(grace, state_.task(task).release_by - state_.now());
    claim({id, false, std::move(placed), state_.now() + grace + kClaimSlack, {}, false});
    wait(id, ReasonCode::kClaimed, fit, tasks);
    return true;
  }

  std::vector<Placement> fit_after_releases(GangId id, const std::vector<TaskId>& tasks) {
    const size_t mark = trial_.mark();
    for (size_t i = 0; i < state_.tasks().size(); ++i)
      if (state_.tasks()[i].phase == TaskPhase::kReleasing)
        trial_.vacate(TaskId{static_cast<uint32_t>(i)});
    GangFit fit = place_gang(state_, trial_, placer_, *entitlements_, id, tasks);
    trial_.rollback(mark);
    return std::move(fit.placed);
  }

  void claim(HeldClaim held) {
    Claim action{state_.gang(held.gang).name, held.reservation, {}, held.expires, held.start};
    for (const Placement& member : held.members) action.members.push_back(state_.spell(member));
    act(std::move(action));
    wake_at(held.expires);
    trial_.claim(std::move(held));
  }

  void mark_blocked(GangId id) {
    const Gang& gang = state_.gang(id);
    if (gang.blocked.ns == 0) act(MarkBlocked{gang.name, state_.now()});
  }

  // --- reservations ---

  /// One a leaf queue, for the first of its gangs that waits for others to end.
  void reserve_for_heads() {
    std::vector<bool> done(state_.queues().size(), false);
    for (const HeldClaim& claim : state_.claims())
      if (claim.reservation) done[state_.gang(claim.gang).queue.index()] = true;
    for (Waiter& waiter : waiters_) {
      const Gang& gang = state_.gang(waiter.gang);
      if (waiter.code != ReasonCode::kInsufficient && waiter.code != ReasonCode::kQueueLimit)
        continue;
      if (!gang.queue.valid() || done[gang.queue.index()] || waiter.tasks.empty()) continue;
      done[gang.queue.index()] = true;
      if (entitlements_->best_standing(gang.queue, waiter.tasks, true) ==
          Entitlements::Standing::kNone)
        continue;
      if (entitlements_
              ->never_within_limit(gang.queue, state_.shape_of(waiter.tasks.front()),
                                   static_cast<uint32_t>(waiter.tasks.size()))
              .valid())
        continue;
      const std::optional<Forecast> forecast =
          forecast_start(state_, trial_, placer_, *entitlements_, waiter.gang, waiter.tasks);
      if (!forecast) continue;
      const Time expires = forecast->start && *forecast->start > state_.now()
                               ? *forecast->start + kClaimSlack
                               : state_.now() + kReservationRefresh;
      claim({waiter.gang, true, forecast->placed, expires, forecast->start, false});
    }
  }

  // --- growth ---

  void grow(GangId id) {
    const Gang& gang = state_.gang(id);
    std::vector<TaskId> tasks = pending(gang);
    size_t room = gang.max - running(gang);
    for (TaskId task : tasks) {
      if (room-- == 0) break;
      const TaskId one[] = {task};
      GangFit fit = place_gang(state_, trial_, placer_, *entitlements_, id, one);
      if (!fit.whole()) {
        // It runs with what it has; its further members wait for room.
        wait(id, ReasonCode::kInsufficient, fit, {one, one + 1});
        waiters_.back().position = 0;
        break;
      }
      act(Bind{state_.spell(fit.placed.front()), false});
    }
  }

  // --- reasons ---

  void wait(GangId id, ReasonCode code, const GangFit& fit = {}, std::vector<TaskId> tasks = {}) {
    const QueueId queue = state_.gang(id).queue;
    Waiter waiter{id,          code, fit.failed, fit.fitted, fit.rejections, std::move(tasks),
                  no_victims_, 0};
    if (queue.valid() && queue.index() < position_.size())
      waiter.position = position_[queue.index()];
    no_victims_ = {};
    waiters_.push_back(std::move(waiter));
  }

  void explain_waiting() {
    Reasons reasons(state_, *entitlements_);
    plan_.waiting.reserve(waiters_.size());
    for (const Waiter& waiter : waiters_) plan_.waiting.push_back(reasons.of(waiter));
  }

  State& state_;
  Placer& placer_;
  Trial trial_;
  std::optional<Entitlements> entitlements_;
  Plan plan_;
  std::vector<Waiter> waiters_;
  std::vector<uint32_t> position_ = std::vector<uint32_t>(state_.queues().size(), 0);
  std::map<Attempt, Waiter> failed_;
  NoVictims no_victims_;
};

}  // namespace

Plan decide(State& state, Placer& placer, uint64_t plan_id) {
  return Cycle(state, placer, plan_id).run();
}

}  // namespace berth::control
