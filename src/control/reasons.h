#pragma once

#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "core/model/plan.h"
#include "core/model/state.h"
#include "core/preemption/victims.h"
#include "core/sharing/entitlement.h"

namespace berth::control {

/// A gang that a cycle could not start, and what it learned on the way.
struct Waiter {
  core::GangId gang{};
  core::ReasonCode code = core::ReasonCode::kInsufficient;
  core::TaskId failed{};  ///< the member that did not fit, where placing was tried
  uint32_t fitted = 0;
  core::Rejections rejections{};  ///< of that member, with those that fitted in place
  std::vector<core::TaskId> tasks{};
  core::NoVictims no_victims{};
  uint32_t position = 0;
  std::optional<Time> next_round{};  ///< where it takes turns: when they are given next
};

/// Turns what a cycle found into reasons that are true at its end. It looks at the state as the
/// cycle leaves it: with what was placed, released and claimed.
class Reasons {
 public:
  Reasons(const core::State& state, const core::Entitlements& entitlements)
      : state_(state), entitlements_(entitlements) {}

  core::Waiting of(const Waiter& waiter);

 private:
  using Key = std::tuple<core::ShapeId, core::LabelSetId, core::NameId>;

  const core::Rejections& rejections(core::TaskId task);
  std::string limit_text(const Waiter& waiter) const;
  std::string guarantee_text(const Waiter& waiter) const;
  std::string claimed_text(const Waiter& waiter) const;
  std::string behind_text(const core::Gang& gang) const;
  std::string growth_text(const core::Gang& gang) const;

  const core::State& state_;
  const core::Entitlements& entitlements_;
  std::map<Key, core::Rejections> rejections_;
};

/// Could no arrangement of the tasks fit the nodes even if these were empty and ready?
bool never_fits(const core::State& state, const core::Gang& gang,
                std::span<const core::TaskId> tasks);
/// Why not: the resource that is missing, and the most of it that a node has.
std::string why_never(const core::State& state, const core::Gang& gang,
                      std::span<const core::TaskId> tasks);

}  // namespace berth::control
