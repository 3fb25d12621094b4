#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/model/trial.h"
#include "core/placement/placer.h"
#include "core/preemption/disruptions.h"
#include "core/sharing/entitlement.h"

namespace berth::core {

/// Tasks that go elsewhere, so that a gang can start.
struct Consolidation {
  std::vector<TaskId> moved;
  std::vector<Placement> placed;  ///< where the gang goes
  int64_t cost = 0;               ///< of the moves, in device-milliseconds
  int64_t gain = 0;
};

struct ConsolidationBounds {
  size_t nodes = 64;  ///< whose tasks are looked at
  size_t moves = 16;
  Duration move_cost = Duration::minutes(1);  ///< of one task, besides the work that it loses
};

/// Finds restartable tasks such that, once they are moved, `gang` fits, and each of them fits
/// elsewhere at once: nobody waits for the move. Only if the gain pays: what the gang would do in
/// the time that it need not wait (`wait`) against the work that the moved lose (since their last
/// checkpoint) and the time that a move takes, devices times time each.
///
/// Movable is what runs alone (not as a member of a gang), restartable and preemptible, longer than
/// its queue's protection, of lower or equal priority or in another queue, and no more of what a
/// disruption budget selects than it allows. Nodes are tried in
/// the order of what emptying them would cost for each device that they would then have idle; then
/// by name. Work stops after so many nodes and moves, never on time. The trial is left as it was.
std::optional<Consolidation> find_consolidation(State& state, Trial& trial, Placer& placer,
                                                const Entitlements& entitlements,
                                                const Disruptions& disruptions, GangId gang,
                                                std::span<const TaskId> tasks, Duration wait,
                                                const ConsolidationBounds& bounds = {});

}  // namespace berth::core
