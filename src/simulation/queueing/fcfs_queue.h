#pragma once

#include <cstddef>
#include <cstdint>

#include "core/scaling/models/load.h"

namespace berth::simulation {

/// What a simulated first-come-first-served queue gave, without its first twentieth (warm-up).
struct QueueSample {
  size_t customers = 0;
  double wait_probability = 0;
  double wait_mean_s = 0;
  double wait_p95_s = 0;
  double response_mean_s = 0;
  double response_p95_s = 0;
};

/// G/G/c with gamma gaps and service times: the recursion of Kiefer and Wolfowitz (1955).
/// Equal arguments give equal answers.
QueueSample simulate_queue(const core::QueueLoad& load, size_t customers, uint64_t seed);

}  // namespace berth::simulation
