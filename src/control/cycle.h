#pragma once

#include <cstdint>

#include "core/model/plan.h"
#include "core/model/state.h"
#include "core/placement/placer.h"

namespace berth::control {

/// One decision: what to start, stop and keep free, and why the rest waits, given everything that
/// `state` knows up to `state.now()`. Pure: equal states, ids and profiles give equal plans, and
/// the state's hash afterwards is what it was before. The caller applies `PlanCommit{plan}` and
/// carries the plan out.
///
/// `placer` belongs to this state and to the profile of its policy.
core::Plan decide(core::State& state, core::Placer& placer, uint64_t plan_id);

}  // namespace berth::control
