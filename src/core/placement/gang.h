#pragma once

#include <span>
#include <vector>

#include "core/model/trial.h"
#include "core/placement/placer.h"
#include "core/sharing/entitlement.h"

namespace berth::core {

/// How far a gang got.
struct GangFit {
  std::vector<Placement> placed;  ///< of all tasks asked for, or empty
  uint32_t fitted = 0;            ///< how many could be placed before one could not
  TaskId failed{};                ///< that one
  Rejections rejections{};        ///< why not, with those that fitted in place; where asked for
  bool limit = false;             ///< a queue's limit, not the nodes, said no
  bool guarantee = false;         ///< it is not preemptible, and no guarantee is left for it

  bool whole() const { return !placed.empty(); }
};

/// Places all of `tasks` (pending members of `gang`, at least one) within the limits of its queues,
/// or none: then the trial is as before. Members of a gang with a topology that is required all go
/// to one domain of it, joining the members that already run; a preferred one is tried first.
/// `explain` fills `rejections`, which looks at every node.
GangFit place_gang(const State& state, Trial& trial, Placer& placer,
                   const Entitlements& entitlements, GangId gang, std::span<const TaskId> tasks,
                   bool explain = false);

/// Places the tasks exactly so, if each still fits there. Else the trial is as before.
bool place_exactly(const State& state, Trial& trial, const Entitlements& entitlements,
                   std::span<const Placement> placements);

}  // namespace berth::core
