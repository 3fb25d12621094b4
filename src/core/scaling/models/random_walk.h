#pragma once

#include "core/scaling/models/load.h"
#include "core/scaling/models/wait.h"

namespace berth::core {

/// G/G/1 with gamma-distributed gaps and service times, exact in the probability of waiting and the
/// first two moments of the wait; M/G/1 (Pollaczek-Khinchine), M/D/1 and M/M/1 are special cases.
/// Source: the wait is the maximum of a random walk with steps `service - gap`, and F. Spitzer
/// (1956) gives its cumulants as sum over n of E[max(S_n, 0)^k] / n, where S_n is the difference of
/// two gamma variables and the expectations are incomplete beta functions. Needs a stable load with
/// one server.
Wait wait_gg1(const QueueLoad& load);

/// G/D/c with gamma-distributed gaps, exact in the same sense; M/D/c (Crommelin 1932) is a special
/// case. Constant service keeps the order, so each server sees every c-th customer: G/D/1 with gaps
/// that are sums of c gaps. Needs a stable load; `service_cv` is ignored.
Wait wait_gdc(const QueueLoad& load);

}  // namespace berth::core
