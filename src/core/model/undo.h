#pragma once

#include "core/model/hash.h"
#include "core/model/state.h"

namespace berth::core {

/// One move of a Trial, with what it takes to reverse it.
struct State::Undo {
  enum class Kind : uint8_t { kTask, kClaim, kUnclaim, kLift, kRestore };

  Kind kind;
  // kTask: where and how the task was before.
  TaskId task;
  TaskPhase phase = TaskPhase::kPending;
  bool backfilled = false;
  NodeId node;
  DeviceSet devices = 0;
  Time started;
  Time release_by;
  bool was_released_for = false;  ///< it is the last of `undo_released_for_`
  // The rest: which claim (its index); of kUnclaim it is the last of `undo_claims_`.
  size_t claim = 0;
};

}  // namespace berth::core
