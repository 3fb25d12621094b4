#pragma once

#include "control/phases/decision.h"

namespace berth::control {

/// Shares and places minimums, one gang at a time, in share order: on what is free, on what it
/// claimed, on what others reserved where it may (backfill), or by reclaim and preemption.
void start_minimums(Decision& d, std::vector<core::GangId> gangs);

}  // namespace berth::control
