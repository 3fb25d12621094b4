#pragma once

#include "control/phases/decision.h"

namespace berth::control {

/// One reservation a leaf queue, for the first of its gangs that waits for others to end.
void reserve_for_heads(Decision& d);

}  // namespace berth::control
