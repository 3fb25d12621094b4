#pragma once

#include "core/scaling/models/load.h"
#include "core/scaling/models/wait.h"

namespace berth::core {

/// Erlang B: the probability that a customer of an M/M/c/c system finds every server busy, for
/// `offered` erlangs. Recursion of A. K. Erlang (1917) in the stable form of Jagerman (1974).
double erlang_b(int servers, double offered);

/// Erlang C: the probability of waiting in M/M/c. Needs `offered < servers`.
double erlang_c(int servers, double offered);

/// M/M/c, exact; c = 1 is M/M/1. The wait, given that there is one, is exponential with mean
/// service / (c - offered). Needs a stable load.
Wait wait_mmc(const QueueLoad& load);

/// M/M/c, exact: P(response > t) in closed form (wait and service convolved).
double response_tail_mmc(const QueueLoad& load, double t_s);

/// M/M/c/K: a customer who finds `capacity` others in the system (waiting or in service) is turned
/// away. Exact, from the birth-death equations; stable at any load. `capacity >= servers`.
struct LossyQueue {
  double rejected = 0;     ///< share of arrivals that is turned away
  double wait_mean_s = 0;  ///< of those who enter
  double response_mean_s = 0;
  double in_system_mean = 0;
  double utilization = 0;
};
LossyQueue solve_mmck(const QueueLoad& load, int capacity);

}  // namespace berth::core
