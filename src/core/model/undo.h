#pragma once

#include <optional>

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
  std::string released_for;
  // The rest: which claim (its index), and its content where it was taken away.
  size_t claim = 0;
  std::optional<HeldClaim> content;
};

}  // namespace berth::core
