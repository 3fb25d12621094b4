#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/model/trial.h"
#include "core/placement/placer.h"
#include "core/preemption/disruptions.h"
#include "core/sharing/entitlement.h"

namespace berth::core {

/// Gangs that may take turns on devices: of one queue and priority, all their members preemptible,
/// restartable and in want of the same kind of device.
struct TurnTakers {
  std::vector<GangId> running;
  std::vector<GangId> waiting;
};

/// Does all of the gang take turns? Work that holds no devices does not.
bool takes_turns(const State& state, const Gang& gang);

/// Those that run, whole and settled, of what `waiting` (one of the same queue, priority and kind
/// of device as they) may take turns with; in order of age.
std::vector<GangId> running_turn_takers(const State& state, const Gang& waiting);

/// Has it had its turn? It ran half a round at least (what starts late in a round keeps its place
/// in the next), and past its queue's protection. Where it reports checkpoints, one must be from
/// this run, or it ran four rounds: else each turn would do the same work again.
bool had_its_turn(const State& state, const Gang& gang);

/// Who is to have the coming round, the most urgent first: those of `takers` that the time-slicing
/// policy (PolicySet::rounds) chooses for the devices that they hold together and those that are
/// free, within the limits of their queue. Age counts from a gang's creation, its running time from
/// its last start, and lengths are as said or learned (State::duration_of).
std::vector<GangId> choose_round(const State& state, const TurnTakers& takers);

/// One gang goes where others had their turn.
struct Turn {
  std::vector<GangId> yielding;
  std::vector<Placement> placed;
};

/// Lets whole gangs of `may_yield` go, the one that loses least first, until `tasks` of `gang` fit,
/// and spares all that it can of them, and whom a disruption budget does not let go. Nothing where
/// it does not fit even then. The trial is left
/// as it was.
std::optional<Turn> find_turn(State& state, Trial& trial, Placer& placer,
                              const Entitlements& entitlements, const Disruptions& disruptions,
                              GangId gang, std::span<const TaskId> tasks,
                              std::vector<GangId> may_yield);

}  // namespace berth::core
