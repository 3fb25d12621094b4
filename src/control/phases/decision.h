#pragma once

#include <optional>
#include <vector>

#include "control/reasons.h"
#include "core/model/plan.h"
#include "core/model/state.h"
#include "core/model/trial.h"
#include "core/placement/gang.h"
#include "core/placement/placer.h"
#include "core/preemption/disruptions.h"
#include "core/preemption/victims.h"
#include "core/sharing/entitlement.h"

namespace berth::control {

/// A claim outlives the grace of its victims by this much.
inline constexpr Duration kClaimSlack = Duration::seconds(30);

/// What the phases of one cycle share: the state as it is after what was decided so far (in a
/// trial), the plan as it grows, and who waits. Each step says in one place what becomes of the
/// trial and what of the plan.
class Decision {
 public:
  Decision(core::State& of, core::Placer& with, uint64_t plan_id)
      : state(of), placer(with), trial(of) {
    plan.id = plan_id;
  }

  /// To be called once the gangs that had started are seen to, before anything is asked of it.
  void work_out_entitlements() { entitlements_.emplace(state); }
  const core::Entitlements& entitlements() const { return *entitlements_; }

  void act(core::Action action) { plan.actions.push_back(std::move(action)); }
  void wake_at(Time time);
  void evict(core::TaskId id, core::EvictReason reason, core::GangId beneficiary);
  void claim(core::HeldClaim held);
  void drop_claim(core::GangId gang);
  void mark_blocked(core::GangId id);
  /// The gang starts at these places: what it claimed is taken up, its intent comes before it.
  void start(core::GangId id, const std::vector<core::Placement>& placed, bool backfilled);
  void wait(core::GangId id, core::ReasonCode code, const core::GangFit& fit = {},
            std::vector<core::TaskId> tasks = {}, core::NoVictims no_victims = {});

  /// Those of its tasks that may be placed.
  std::vector<core::TaskId> pending(const core::Gang& gang) const;
  const core::HeldClaim* claim_of(core::GangId gang) const;

  core::State& state;
  core::Placer& placer;
  core::Trial trial;
  core::Disruptions disruptions{state};  ///< with what the plan stops counted
  core::Plan plan;
  std::vector<Waiter> waiters;
  /// By queue: how many of its gangs had their turn.
  std::vector<uint32_t> position = std::vector<uint32_t>(state.queues().size(), 0);

 private:
  std::optional<core::Entitlements> entitlements_;
};

/// Does it hold a place that it may keep?
bool runs(const core::Task& task);

}  // namespace berth::control
