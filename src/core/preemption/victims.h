#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/model/trial.h"
#include "core/placement/placer.h"
#include "core/sharing/entitlement.h"

namespace berth::core {

/// What yields together: a whole gang, or one task that a gang has beyond its minimum.
struct Victim {
  GangId gang{};
  std::vector<TaskId> tasks{};
  bool growth = false;
  EvictReason reason = EvictReason::kReclaim;
};

/// Who yields for a gang, and where it then goes.
struct Preemption {
  std::vector<Victim> victims;
  std::vector<Placement> placed;
};

/// Why nobody yields, for the gang's reasons.
struct NoVictims {
  bool entitled = false;  ///< it has a claim on other queues' borrowed work, or priority over own
  bool is_protected = false;            ///< it would find room once protections end
  std::optional<Time> protected_until;  ///< the first of them to end
};

struct PreemptionResult {
  std::optional<Preemption> found;
  NoVictims none;
};

/// Finds victims for `gang`, which cannot be placed otherwise, so that `tasks` of it can. The trial
/// is left as it was.
///
/// Candidates are preemptible work that is not releasing, and
/// - in the gang's own queue: of lower priority;
/// - in other queues: borrowed, where the gang's queue has a claim on it (Entitlements), and only
///   while it is above its entitlement;
/// - work that was backfilled onto the gang's reservation and outlived its estimate, or had none.
/// Protection: not before min(start + protection of its queue, time since which this gang is
/// blocked
/// + reclaimDelay of this gang's queue); backfilled work past its estimate has none.
///
/// Order: other queues before the own; of those the one furthest above its entitlement, as it is
/// after the victims chosen so far, and within it likewise down to a leaf; then lower priority,
/// growth before whole gangs, the growth that is worth least first, least lost work (time since the
/// last checkpoint, capped, times devices), the youngest, name. They are taken in this order until
/// the gang fits, and then given back, the last chosen first, as long as it still fits: dropping
/// any one of those that are left would leave it without a place. Where only lost work told them
/// apart (whole gangs of one queue and priority), a set of others that loses less together is
/// looked for, and also where none was found because who went first left the queue nothing that it
/// borrowed (`cheapest_set`).
PreemptionResult find_victims(State& state, Trial& trial, Placer& placer,
                              const Entitlements& entitlements, GangId gang,
                              std::span<const TaskId> tasks);

/// Lost if this task stopped now: nanoseconds since its last checkpoint (or start), capped, times
/// thousandths of devices (one device where it has none), in device-milliseconds.
int64_t lost_work(const State& state, const Task& task);

}  // namespace berth::core
