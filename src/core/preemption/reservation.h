#pragma once

#include <optional>
#include <span>

#include "core/model/trial.h"
#include "core/placement/placer.h"
#include "core/sharing/entitlement.h"

namespace berth::core {

/// Where and when a gang that cannot be placed now could start when running work has ended.
struct ForeseenStart {
  std::vector<Placement> placed;
  /// When the last of the work in its way is expected to end; none: some of it has no estimate.
  std::optional<Time> start;
};

/// Lets running work end in the order of its expected end (work without an estimate last, the
/// longest running first) until the gang fits. Nothing where it would not fit even then. The trial
/// is left as it was.
std::optional<ForeseenStart> forecast_start(State& state, Trial& trial, Placer& placer,
                                            const Entitlements& entitlements, GangId gang,
                                            std::span<const TaskId> tasks);

/// May these tasks start on what is reserved with this expected start? Those that end before, by
/// their own estimate, and those that can be preempted.
bool may_backfill(const State& state, std::span<const TaskId> tasks, std::optional<Time> start);

}  // namespace berth::core
