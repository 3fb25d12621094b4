#include "control/phases/decision.h"

#include <algorithm>

namespace berth::control {

using namespace core;  // NOLINT: the cycle is written in the core's terms

bool runs(const Task& task) {
  return task.holds_place() && task.phase != TaskPhase::kReleasing;
}

void Decision::wake_at(Time time) {
  if (time <= state.now()) return;
  if (!plan.next_wakeup || time < *plan.next_wakeup) plan.next_wakeup = time;
}

void Decision::evict(TaskId id, EvictReason reason, GangId beneficiary) {
  const Task& task = state.task(id);
  disruptions.count({&id, 1});
  act(Evict{task.name, reason, beneficiary.valid() ? state.gang(beneficiary).name : std::string()});
  if (beneficiary.valid())
    trial.release(id, beneficiary, state.now() + task.grace);
  else
    trial.release(id, task.gang, state.now() + task.grace);
}

void Decision::claim(HeldClaim held) {
  Claim action{state.gang(held.gang).name, held.reservation, {}, held.expires, held.start};
  for (const Placement& member : held.members) action.members.push_back(state.spell(member));
  act(std::move(action));
  wake_at(held.expires);
  trial.claim(std::move(held));
}

void Decision::drop_claim(GangId gang) {
  act(Unclaim{state.gang(gang).name});
  trial.unclaim(gang);
}

void Decision::mark_blocked(GangId id) {
  const Gang& gang = state.gang(id);
  if (gang.blocked.ns == 0) act(MarkBlocked{gang.name, state.now()});
}

void Decision::start(GangId id, const std::vector<Placement>& placed, bool backfilled) {
  const Gang& gang = state.gang(id);
  if (claim_of(id) != nullptr) drop_claim(id);
  if (gang.blocked.ns != 0) act(MarkBlocked{gang.name, std::nullopt});
  if (gang.running > placed.size()) act(MarkBroken{gang.name, std::nullopt});
  if (placed.size() > 1) {
    PersistIntent intent{gang.name, plan.id, {}};
    for (const Placement& placement : placed) intent.members.push_back(state.spell(placement));
    act(std::move(intent));
  }
  for (const Placement& placement : placed) act(Bind{state.spell(placement), backfilled});
}

void Decision::wait(GangId id, ReasonCode code, const GangFit& fit, std::vector<TaskId> tasks,
                    NoVictims no_victims) {
  const QueueId queue = state.gang(id).queue;
  Waiter waiter{id, code, fit.failed, fit.fitted, fit.rejections, std::move(tasks), no_victims, 0};
  if (queue.valid() && queue.index() < position.size()) waiter.position = position[queue.index()];
  waiters.push_back(std::move(waiter));
}

std::vector<TaskId> Decision::pending(const Gang& gang) const {
  std::vector<TaskId> tasks;
  for (TaskId id : gang.tasks)
    if (state.task(id).phase == TaskPhase::kPending && !state.task(id).gated) tasks.push_back(id);
  return tasks;
}

const HeldClaim* Decision::claim_of(GangId gang) const {
  for (const HeldClaim& claim : state.claims())
    if (claim.gang == gang) return &claim;
  return nullptr;
}

}  // namespace berth::control
