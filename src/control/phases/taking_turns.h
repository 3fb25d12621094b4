#pragma once

#include "control/phases/decision.h"

namespace berth::control {

/// Where the policy has rounds (PolicySet::rounds): gangs of a queue that wait for devices which
/// others of it hold get the next turn on them, once a round. Who gives a turn to whom stays as
/// long as the round, whatever happens meanwhile.
void take_turns(Decision& d);

}  // namespace berth::control
