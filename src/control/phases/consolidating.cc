#include "control/phases/consolidating.h"

#include <algorithm>

#include "core/preemption/consolidation.h"

namespace berth::control {

using namespace core;  // NOLINT: the cycle is written in the core's terms

namespace {

/// Where nothing says when it could start otherwise.
constexpr Duration kUnknownWait = Duration::hours(1);

/// How long it would wait: until its reservation's start, where one is known.
Duration wait_of(const Decision& d, GangId gang) {
  const HeldClaim* claim = d.claim_of(gang);
  if (claim == nullptr || !claim->start) return kUnknownWait;
  return std::max(Duration{}, *claim->start - d.state.now());
}

}  // namespace

void consolidate(Decision& d) {
  if (!d.state.policy().consolidate) return;
  for (Waiter& waiter : d.waiters) {
    if (waiter.code != ReasonCode::kInsufficient || waiter.position != 1 || waiter.tasks.empty())
      continue;
    const GangId id = waiter.gang;
    d.trial.lift(id);
    const auto found = find_consolidation(d.state, d.trial, d.placer, d.entitlements(),
                                          d.disruptions, id, waiter.tasks, wait_of(d, id));
    d.trial.restore(id);
    if (!found) continue;
    if (d.claim_of(id) != nullptr) d.drop_claim(id);
    Duration grace;
    for (TaskId task : found->moved) {
      grace = std::max(grace, d.state.task(task).grace);
      d.evict(task, EvictReason::kConsolidation, id);
    }
    d.claim({id, false, found->placed, d.state.now() + grace + kClaimSlack, {}, false});
    waiter.code = ReasonCode::kClaimed;
    return;
  }
}

}  // namespace berth::control
