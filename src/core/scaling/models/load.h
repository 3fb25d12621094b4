#pragma once

#include <cmath>

namespace berth::core {

/// What a service centre with one first-come-first-served queue has to bear.
/// Gaps between arrivals and service times are independent, each known by its mean and its
/// coefficient of variation (standard deviation / mean): 0 is constant, 1 is exponential. Where
/// more than two moments matter the distribution is taken to be gamma.
struct QueueLoad {
  double arrivals_per_s = 0;
  double service_mean_s = 0;
  int servers = 1;
  double arrival_cv = 1;
  double service_cv = 1;

  /// Work that arrives, in busy servers (erlangs).
  double offered() const { return arrivals_per_s * service_mean_s; }
  /// Fraction of the servers that is busy if the queue is stable.
  double utilization() const { return offered() / servers; }
  bool stable() const { return utilization() < 1; }
};

}  // namespace berth::core
