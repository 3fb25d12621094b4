#pragma once

#include "control/phases/decision.h"

namespace berth::control {

/// Where the policy says so: moves restartable tasks for the head of a queue that waits for room,
/// one gang a cycle.
void consolidate(Decision& d);

}  // namespace berth::control
