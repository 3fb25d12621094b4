#pragma once

#include <span>
#include <vector>

namespace berth::core {

/// One class of customers of a queue with priorities; the first class is served first.
struct PriorityClass {
  double arrivals_per_s = 0;
  double service_mean_s = 0;
  double service_cv = 1;
};

/// Mean waits, a class each, in M/G/1 with non-preemptive priorities (A. Cobham 1954), exact.
/// A class that the load of itself and the ones before it saturates waits for ever: infinity.
std::vector<double> wait_means_nonpreemptive(std::span<const PriorityClass> classes);

/// Mean responses, a class each, in M/G/1 with preemptive-resume priorities, exact.
std::vector<double> response_means_preemptive(std::span<const PriorityClass> classes);

/// Mean waits, a class each, in M/M/c with non-preemptive priorities and one service rate for all
/// classes (Kella and Yechiali 1985), exact.
std::vector<double> wait_means_nonpreemptive_mmc(std::span<const double> arrivals_per_s,
                                                 double service_mean_s, int servers);

}  // namespace berth::core
