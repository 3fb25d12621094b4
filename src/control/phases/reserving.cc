#include "control/phases/reserving.h"

#include "core/preemption/reservation.h"

namespace berth::control {

using namespace core;  // NOLINT: the cycle is written in the core's terms

/// A reservation without an expected start is worked out anew after this long.
constexpr Duration kReservationRefresh = Duration::minutes(1);

void reserve_for_heads(Decision& d) {
  std::vector<bool> done(d.state.queues().size(), false);
  for (const HeldClaim& claim : d.state.claims())
    if (claim.reservation) done[d.state.gang(claim.gang).queue.index()] = true;
  for (Waiter& waiter : d.waiters) {
    const Gang& gang = d.state.gang(waiter.gang);
    if (waiter.code != ReasonCode::kInsufficient && waiter.code != ReasonCode::kQueueLimit)
      continue;
    if (!gang.queue.valid() || done[gang.queue.index()] || waiter.tasks.empty()) continue;
    done[gang.queue.index()] = true;
    // Growth reserves no more than its queue is entitled to beside what it has.
    if (d.entitlements().best_standing(gang.queue, waiter.tasks, !gang.is_growth()) ==
        Entitlements::Standing::kNone)
      continue;
    if (d.entitlements()
            .never_within_limit(gang.queue, d.state.shape_of(waiter.tasks.front()),
                                static_cast<uint32_t>(waiter.tasks.size()))
            .valid())
      continue;
    const std::optional<ForeseenStart> forecast =
        forecast_start(d.state, d.trial, d.placer, d.entitlements(), waiter.gang, waiter.tasks);
    if (!forecast) continue;
    const Time expires = forecast->start && *forecast->start > d.state.now()
                             ? *forecast->start + kClaimSlack
                             : d.state.now() + kReservationRefresh;
    d.claim({waiter.gang, true, forecast->placed, expires, forecast->start, false});
  }
}

}  // namespace berth::control
