#pragma once

#include "control/phases/decision.h"

namespace berth::control {

/// Gangs that have started are rolled forward, made whole, or given up whole. This comes before
/// entitlements are worked out.
void finish_started_gangs(Decision& d);

/// Claims that ran out, or whose gang needs them no longer.
void drop_stale_claims(Decision& d);

}  // namespace berth::control
