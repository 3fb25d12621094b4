#pragma once

#include "core/scaling/models/load.h"
#include "core/scaling/models/wait.h"

namespace berth::core {

/// G/M/c with gamma-distributed gaps, exact: the wait, given that there is one, is exponential.
/// Source: the embedded Markov chain of D. G. Kendall (1953), solved backwards from its geometric
/// tail. Needs a stable load; `service_cv` is ignored.
Wait wait_gmc(const QueueLoad& load);

}  // namespace berth::core
