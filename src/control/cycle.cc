#include "control/cycle.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "control/phases/consolidating.h"
#include "control/phases/decision.h"
#include "control/phases/reserving.h"
#include "control/phases/started_gangs.h"
#include "control/phases/starting.h"
#include "control/phases/taking_turns.h"
#include "core/sharing/order.h"
#include "core/sharing/over_budget.h"

namespace berth::control {
namespace {

using namespace core;  // NOLINT: the cycle is written in the core's terms

/// Why a gang that has `members` of its minimum, with those that wait, has no turn yet.
std::optional<ReasonCode> hold_up(const Gang& gang, size_t members, bool none_waits,
                                  bool some_gated) {
  if (gang.min == kUndeclared) return ReasonCode::kGangIncomplete;
  if (!gang.queue.valid()) return ReasonCode::kQueueMissing;
  const bool too_few = members < gang.min;
  if (none_waits || (some_gated && too_few)) return ReasonCode::kGated;
  if (too_few) return ReasonCode::kGangIncomplete;
  return std::nullopt;
}

void wait_for_budget(Decision& d, GangId id, QueueId spent) {
  d.wait(id, ReasonCode::kBudget);
  d.waiters.back().position = 0;
  d.wake_at(d.state.queue(spent).budget.until);
}

/// Gangs with tasks to place: below their minimum, or (`growth`) between minimum and maximum.
std::vector<GangId> gangs_that_want(Decision& d, bool growth) {
  std::vector<GangId> gangs;
  for (const GangId id : d.state.open_gangs()) {
    const Gang& gang = d.state.gang(id);
    if (!gang.intent.empty()) continue;
    const size_t waiting = gang.waiting;
    const size_t have = gang.running;
    const QueueId spent = over_budget(d.state, gang.queue);
    if (waiting > 0 && spent.valid()) {
      if (growth ? have >= gang.min && have < gang.max : have < gang.min)
        wait_for_budget(d, id, spent);
      continue;
    }
    if (growth) {
      if (waiting > 0 && gang.queue.valid() && have >= gang.min && have < gang.max)
        gangs.push_back(id);
      continue;
    }
    if (have >= gang.min) continue;
    if (waiting + gang.gated == 0) continue;
    if (const auto why = hold_up(gang, have + waiting, waiting == 0, gang.gated > 0))
      d.wait(id, *why);
    else
      gangs.push_back(id);
  }
  return gangs;
}

void grow(Decision& d, GangId id) {
  const Gang& gang = d.state.gang(id);
  std::vector<TaskId> tasks = d.pending(gang);
  size_t room = gang.max - gang.running;
  for (TaskId task : tasks) {
    if (room-- == 0) break;
    const TaskId one[] = {task};
    GangFit fit = place_gang(d.state, d.trial, d.placer, d.entitlements(), id, one);
    if (!fit.whole()) {
      // It runs with what it has; its further members wait for room.
      d.wait(id, ReasonCode::kInsufficient, fit, {one, one + 1});
      d.waiters.back().position = 0;
      break;
    }
    d.act(Bind{d.state.spell(fit.placed.front()), false});
  }
}

void grow_gangs(Decision& d) {
  ServiceOrder growth(d.state, d.entitlements(), gangs_that_want(d, true));
  while (const std::optional<GangId> gang = growth.next()) grow(d, *gang);
}

void explain_waiting(Decision& d) {
  Reasons reasons(d.state, d.entitlements());
  d.plan.waiting.reserve(d.waiters.size());
  for (const Waiter& waiter : d.waiters) d.plan.waiting.push_back(reasons.of(waiter));
}

}  // namespace

// The numbers are those of the design. Phase 1, applying the events, is the caller's; phase 2
// orders the gangs' demand by minimum and growth.
Plan decide(State& state, Placer& placer, uint64_t plan_id) {
  Decision d(state, placer, plan_id);
  finish_started_gangs(d);
  drop_stale_claims(d);
  d.work_out_entitlements();
  // 2. Demand.
  std::vector<GangId> starting = gangs_that_want(d, false);
  // 3. and 4. Share and place minimums, with reclaim and preemption, in share order.
  start_minimums(d, std::move(starting));
  take_turns(d);
  reserve_for_heads(d);
  // 5. is part of start_minimums: who may use what is reserved. Growth comes after all minimums.
  grow_gangs(d);
  // 6. Consolidate.
  consolidate(d);
  // 7. The plan, with reasons for everything that waits.
  explain_waiting(d);
  return std::move(d.plan);
}

}  // namespace berth::control
