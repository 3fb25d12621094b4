// How time passes, configuration changes, and a plan that is carried out counts at once.

#include <algorithm>

#include "core/model/undo.h"

namespace berth::core {

void State::on(const Tick& event) {
  if (event.now <= now_) return;
  accrue_usage(event.now);
  now_ = event.now;
}

void State::on(const PolicySet& event) {
  policy_ = event;
  for (Accelerator& accelerator : accelerators_) accelerator.weight_milli = weight_of(accelerator);
}

int64_t State::weight_of(const Accelerator& accelerator) const {
  int64_t of_resource = 1000;
  for (const auto& [key, weight] : policy_.accelerator_weights_milli) {
    if (names_.text(accelerator.name) == key) return weight;
    if (names_.text(accelerator.resource) == key) of_resource = weight;
  }
  return of_resource;
}

void State::on(const PlanCommit& event) {
  commit(event.plan, event.actions);
}

void State::commit(uint64_t plan, std::span<const Action> actions) {
  for (const Action& action : actions)
    std::visit([&](const auto& a) { on_action(a, plan); }, action);
}

void State::on_action(const Bind& action, uint64_t) {
  const std::optional<Placement> placement = resolve(action.place);
  if (!placement || tasks_[placement->task.index()].phase != TaskPhase::kPending) return;
  place(placement->task, *placement, TaskPhase::kAssumed);
  Task& task = tasks_[placement->task.index()];
  task.started = now_;
  task.backfilled = action.backfilled;
}

void State::on_action(const Evict& action, uint64_t) {
  const TaskId id = find_task(action.task);
  if (id.valid()) release(id, action.beneficiary, now_ + tasks_[id.index()].grace);
}

void State::on_action(const PersistIntent& action, uint64_t) {
  const GangId id = find_gang(action.gang);
  if (!id.valid()) return;
  Gang& gang = gangs_[id.index()];
  gang.plan = action.plan;
  gang.intent.clear();
  for (const PlaceSpec& member : action.members)
    if (const auto placement = resolve(member)) gang.intent.push_back(*placement);
  review(id);
}

void State::on_action(const ClearIntent& action, uint64_t) {
  const GangId id = find_gang(action.gang);
  if (!id.valid()) return;
  gangs_[id.index()].intent.clear();
  gangs_[id.index()].plan = 0;
  review(id);
}

void State::on_action(const Claim& action, uint64_t) {
  HeldClaim claim{find_gang(action.gang), action.reservation, {},
                  action.expires,         action.start,       false};
  if (!claim.gang.valid()) return;
  drop_claim(claim.gang);
  for (const PlaceSpec& member : action.members)
    if (const auto placement = resolve(member)) claim.members.push_back(*placement);
  if (claim.members.empty()) return;
  apply_claim(claim, +1);
  claims_.push_back(std::move(claim));
}

void State::on_action(const Unclaim& action, uint64_t) {
  if (const GangId id = find_gang(action.gang); id.valid()) drop_claim(id);
}

void State::on_action(const MarkBlocked& action, uint64_t) {
  if (const GangId id = find_gang(action.gang); id.valid())
    gangs_[id.index()].blocked = action.since.value_or(Time{});
}

void State::on_action(const MarkBroken& action, uint64_t) {
  const GangId id = find_gang(action.gang);
  if (!id.valid()) return;
  gangs_[id.index()].below_min_since = action.since.value_or(Time{});
  review(id);
}

void State::on_action(const BeginRound& action, uint64_t) {
  round_begun_ = action.at;
}

void State::drop_claim(GangId gang) {
  const auto at = std::find_if(claims_.begin(), claims_.end(),
                               [&](const HeldClaim& claim) { return claim.gang == gang; });
  if (at == claims_.end()) return;
  apply_claim(*at, -1);
  claims_.erase(at);
}

void State::drop_member_claim(TaskId id) {
  const GangId gang = tasks_[id.index()].gang;
  for (HeldClaim& claim : claims_) {
    if (claim.gang != gang) continue;
    for (const Placement& member : claim.members)
      if (member.task == id) return drop_claim(gang);
  }
}

}  // namespace berth::core
