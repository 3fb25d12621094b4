#include "control/phases/started_gangs.h"

#include <algorithm>
#include <optional>

#include "core/sharing/over_budget.h"

namespace berth::control {

using namespace core;  // NOLINT: the cycle is written in the core's terms

namespace {

bool carried_out(const Decision& d, const Gang& gang) {
  return std::all_of(gang.intent.begin(), gang.intent.end(), [&](const Placement& member) {
    return d.state.task(member.task).phase >= TaskPhase::kBound;
  });
}

/// What is not bound of its intent goes where it was meant to go, if that makes the gang whole: a
/// member more of a gang that cannot be is one more to evict.
void roll_forward(Decision& d, GangId id) {
  const Gang& gang = d.state.gang(id);
  Entitlements entitlements(d.state);
  const size_t mark = d.trial.mark();
  d.trial.lift(id);
  std::vector<Placement> placed;
  for (const Placement& member : gang.intent) {
    if (d.state.task(member.task).phase != TaskPhase::kPending) continue;
    const Placement one[] = {member};
    if (place_exactly(d.state, d.trial, entitlements, one)) placed.push_back(member);
  }
  if (gang.running < gang.min) return d.trial.rollback(mark);
  for (const Placement& member : placed) d.act(Bind{d.state.spell(member), false});
}

void evict_whole(Decision& d, GangId id, EvictReason reason) {
  for (TaskId task : d.state.gang(id).tasks)
    if (runs(d.state.task(task))) d.evict(task, reason, {});
}

/// Since when it runs with less than its minimum (marked the first time); nothing where it does
/// not.
std::optional<Time> short_since(Decision& d, const Gang& gang) {
  const size_t holding = gang.running;
  if (!gang.declared || holding == 0 || holding >= gang.min) return std::nullopt;
  if (gang.below_min_since.ns != 0) return gang.below_min_since;
  d.act(MarkBroken{gang.name, d.state.now()});
  return d.state.now();
}

/// Whole within the intent's time, or evicted whole. Bindings that fail are tried again until then;
/// the time counts from the first that failed.
void finish_starting(Decision& d, GangId id) {
  const Gang& gang = d.state.gang(id);
  const auto settle = [&] {
    d.act(ClearIntent{gang.name});
    if (gang.below_min_since.ns != 0) d.act(MarkBroken{gang.name, std::nullopt});
  };
  if (carried_out(d, gang)) return settle();
  if (const std::optional<Time> since = short_since(d, gang)) {
    const Time end = *since + d.state.policy().intent_timeout;
    if (end <= d.state.now()) {
      evict_whole(d, id, EvictReason::kGangIncomplete);
      return d.act(ClearIntent{gang.name});
    }
    d.wake_at(end);
  }
  roll_forward(d, id);
  if (gang.running > 0) return;
  // Nothing of it came about: it starts anew.
  settle();
  d.wake_at(d.state.now() + Duration::milliseconds(1));
}

/// A running gang that lost members is made whole within its queue's time, or goes whole.
void finish_running(Decision& d, GangId id) {
  const Gang& gang = d.state.gang(id);
  const std::optional<Time> since = short_since(d, gang);
  if (!since) {
    if (gang.below_min_since.ns != 0) d.act(MarkBroken{gang.name, std::nullopt});
    return;
  }
  const QueueTimes& times =
      gang.queue.valid() ? d.state.queue(gang.queue).times : d.state.policy().default_times;
  const Time end = *since + times.replace_timeout;
  if (end <= d.state.now()) return evict_whole(d, id, EvictReason::kGangBroken);
  d.wake_at(end);
}

/// Where a queue's budget is spent and says so, its gangs stop, but for what is not preemptible.
bool stops_over_budget(const Decision& d, QueueId id) {
  const QueueId spent = over_budget(d.state, id);
  return spent.valid() && d.state.queue(spent).budget.preempts;
}

void stop_over_budget(Decision& d, GangId id) {
  const Gang& gang = d.state.gang(id);
  for (TaskId task : gang.tasks)
    if (runs(d.state.task(task)) && d.state.task(task).preemptible)
      d.evict(task, EvictReason::kBudget, {});
  if (!gang.intent.empty()) d.act(ClearIntent{gang.name});
}

}  // namespace

void finish_started_gangs(Decision& d) {
  for (uint32_t i = 0; i < d.state.queues().size(); ++i)
    if (d.state.queues()[i].alive && stops_over_budget(d, QueueId{i}))
      for (GangId id : d.state.queues()[i].gangs) stop_over_budget(d, id);
  for (const GangId id : d.state.open_gangs()) {
    if (stops_over_budget(d, d.state.gang(id).queue)) continue;
    if (d.state.gang(id).intent.empty())
      finish_running(d, id);
    else
      finish_starting(d, id);
  }
}

void drop_stale_claims(Decision& d) {
  std::vector<GangId> stale;
  for (const HeldClaim& claim : d.state.claims()) {
    const Gang& gang = d.state.gang(claim.gang);
    if (claim.expires <= d.state.now() || over_budget(d.state, gang.queue).valid() ||
        gang.running >= gang.min || d.pending(gang).empty())
      stale.push_back(claim.gang);
    else
      d.wake_at(claim.expires);
  }
  for (GangId gang : stale) d.drop_claim(gang);
}

}  // namespace berth::control
