#include "control/phases/started_gangs.h"

#include <algorithm>

namespace berth::control {

using namespace core;  // NOLINT: the cycle is written in the core's terms

namespace {

void roll_forward(Decision& d, GangId id) {
  const Gang& gang = d.state.gang(id);
  const bool carried_out =
      std::all_of(gang.intent.begin(), gang.intent.end(), [&](const Placement& member) {
        return d.state.task(member.task).phase >= TaskPhase::kBound;
      });
  if (carried_out) {
    d.act(ClearIntent{gang.name});
    return;
  }
  Entitlements entitlements(d.state);
  for (const Placement& member : gang.intent) {
    if (d.state.task(member.task).phase != TaskPhase::kPending) continue;
    d.trial.lift(id);
    const Placement one[] = {member};
    if (!place_exactly(d.state, d.trial, entitlements, one)) continue;
    d.act(Bind{d.state.spell(member), false});
  }
  // Nothing of it came about: it starts anew.
  if (d.running(gang) == 0) {
    d.act(ClearIntent{gang.name});
    d.wake_at(d.state.now() + Duration::milliseconds(1));
  }
}

void evict_whole(Decision& d, GangId id, EvictReason reason) {
  for (TaskId task : d.state.gang(id).tasks)
    if (runs(d.state.task(task))) d.evict(task, reason, {});
}

}  // namespace

void finish_started_gangs(Decision& d) {
  for (size_t i = 0; i < d.state.gangs().size(); ++i) {
    const GangId id{static_cast<uint32_t>(i)};
    const Gang& gang = d.state.gangs()[i];
    if (!gang.alive) continue;
    if (!gang.intent.empty()) roll_forward(d, id);
    const size_t holding = d.running(gang);
    const bool broken = gang.declared && holding > 0 && holding < gang.min;
    if (!broken) {
      if (gang.below_min_since.ns != 0) d.act(MarkBroken{gang.name, std::nullopt});
      continue;
    }
    // Starting gangs are whole within the intent's time, running ones within their queue's.
    const bool starting = !gang.intent.empty();
    const Duration patience = starting             ? d.state.policy().intent_timeout
                              : gang.queue.valid() ? d.state.queue(gang.queue).times.replace_timeout
                                                   : d.state.policy().default_times.replace_timeout;
    const Time since = gang.below_min_since.ns != 0 ? gang.below_min_since : d.state.now();
    if (gang.below_min_since.ns == 0) d.act(MarkBroken{gang.name, since});
    if (d.state.now() < since + patience) {
      d.wake_at(since + patience);
      continue;
    }
    evict_whole(d, id, starting ? EvictReason::kGangIncomplete : EvictReason::kGangBroken);
    if (starting) d.act(ClearIntent{gang.name});
  }
}

void drop_stale_claims(Decision& d) {
  std::vector<GangId> stale;
  for (const HeldClaim& claim : d.state.claims()) {
    const Gang& gang = d.state.gang(claim.gang);
    if (claim.expires <= d.state.now() || d.running(gang) >= gang.min || d.pending(gang).empty())
      stale.push_back(claim.gang);
    else
      d.wake_at(claim.expires);
  }
  for (GangId gang : stale) d.drop_claim(gang);
}

}  // namespace berth::control
