#include "core/scaling/models/gmc.h"

#include <cmath>

#include "core/scaling/models/markovian.h"

namespace berth::core {
namespace {

/// E[exp(-s gap)] of a gamma gap; of a constant one when cv is 0.
double gap_transform(const QueueLoad& load, double s) {
  const double mean = 1 / load.arrivals_per_s, variance_ratio = load.arrival_cv * load.arrival_cv;
  if (variance_ratio < 1e-6) return std::exp(-s * mean);
  return std::pow(1 + s * mean * variance_ratio, -1 / variance_ratio);
}

/// The root in (0, 1) of sigma = E[exp(-c mu (1 - sigma) gap)], by bisection: the function minus
/// sigma is convex, positive at 0, and negative just below its other root at 1.
double busy_growth(const QueueLoad& load) {
  const double drain = load.servers / load.service_mean_s;
  double low = 0, high = 1;
  for (int step = 0; step < 200 && high - low > 1e-15; ++step) {
    const double middle = (low + high) / 2;
    (gap_transform(load, drain * (1 - middle)) > middle ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

Wait wait_gmc(const QueueLoad& load) {
  if (std::abs(load.arrival_cv - 1) < 1e-9) return wait_mmc(load);
  const int c = load.servers;
  const double mu = 1 / load.service_mean_s, sigma = busy_growth(load);
  // Takacs (1962), theorem 2 of chapter 2: the share of arrivals that wait is A / (1 - sigma) with
  // 1/A = 1/(1-sigma) + sum_j binom(c,j) / (C_j (1 - a_j)) * (c (1 - a_j) - j) / (c (1 - sigma) -
  // j), where a_j is the transform at j mu and C_j the product of a_k / (1 - a_k) up to j.
  double inverse = 1 / (1 - sigma), binomial_over_c = 1;
  for (int j = 1; j <= c; ++j) {
    const double a = gap_transform(load, j * mu);
    binomial_over_c *= static_cast<double>(c - j + 1) / j * (1 - a) / a;
    inverse += binomial_over_c / (1 - a) * (c * (1 - a) - j) / (c * (1 - sigma) - j);
  }
  const double waits = 1 / inverse / (1 - sigma);
  return {waits, load.service_mean_s / (c * (1 - sigma)), 1};
}

}  // namespace berth::core
