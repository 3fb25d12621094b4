#pragma once

#include "core/scaling/models/load.h"
#include "core/scaling/models/wait.h"

namespace berth::core {

/// How the answer for a load was found.
enum class QueueMethod {
  kMarkovian,     ///< M/M/c, exact
  kRandomWalk,    ///< G/G/1 or G/D/c, exact mean, percentiles by two moments
  kInterpolated,  ///< G/G/c between G/D/c and G/M/c
};

QueueMethod method_for(const QueueLoad& load);

/// The wait in G/G/c with gamma-distributed gaps and service times. Exact where `method_for` says
/// so; else each property (probability, mean, cv) lies between those of the exact G/D/c and G/M/c
/// as far as the exact G/G/1 of the same total speed lies between G/D/1 and G/M/1; for Poisson
/// arrivals this is Cosmetatos' interpolation in the squared service cv (1976).
/// tests/unit/core/scaling prints the error against simulation. Needs a stable load.
Wait wait_ggc(const QueueLoad& load);

/// Allen and Cunneen's approximation of the mean wait, W(M/M/c) (ca^2 + cs^2) / 2, as capacity
/// planners know it. For comparison.
double wait_mean_allen_cunneen(const QueueLoad& load);

}  // namespace berth::core
