#include "core/scaling/models/wait.h"

#include <algorithm>
#include <cmath>

#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/special_functions/gamma.hpp>

namespace berth::core {
namespace {

constexpr double kNearlyConstant = 1e-3;  // a cv below this is a constant to the precision we print

/// The smallest t with tail(t) <= 1 - p, of a tail that falls from above to 0.
template <class Tail>
double invert_tail(Tail tail, double p, double scale) {
  const double target = 1 - p;
  if (tail(0.0) <= target) return 0;
  double high = scale;
  while (tail(high) > target) high *= 2;
  double low = 0;
  for (int step = 0; step < 60 && high - low > 1e-9 * high; ++step) {
    const double middle = (low + high) / 2;
    (tail(middle) > target ? low : high) = middle;
  }
  return high;
}

}  // namespace

double gamma_tail(double mean, double cv, double t) {
  if (t <= 0) return 1;
  if (mean <= 0) return 0;
  if (cv < kNearlyConstant) return t < mean ? 1 : 0;
  const double shape = 1 / (cv * cv);
  return boost::math::gamma_q(shape, t * shape / mean);
}

double gamma_percentile(double mean, double cv, double p) {
  if (mean <= 0 || p <= 0) return 0;
  if (cv < kNearlyConstant) return mean;
  const double shape = 1 / (cv * cv);
  return boost::math::gamma_p_inv(shape, p) * mean / shape;
}

Wait::Wait(double probability, double mean_s, double cv)
    : probability_(std::clamp(probability, 0.0, 1.0)),
      conditional_mean_s_(mean_s),
      conditional_cv_(cv) {}

Wait Wait::from_moments(double probability, double mean_s, double second_moment_s2) {
  if (probability <= 0 || mean_s <= 0) return {};
  const double mean = mean_s / probability;
  const double variance = second_moment_s2 / probability - mean * mean;
  return {probability, mean, std::sqrt(std::max(variance, 0.0)) / mean};
}

double Wait::tail(double t_s) const {
  if (t_s < 0) return 1;
  return probability_ * gamma_tail(conditional_mean_s_, conditional_cv_, t_s);
}

double Wait::percentile(double p) const {
  if (1 - p >= probability_) return 0;
  return gamma_percentile(conditional_mean_s_, conditional_cv_, 1 - (1 - p) / probability_);
}

double response_tail(const Wait& wait, double service_mean_s, double service_cv, double t_s) {
  if (t_s < 0) return 1;
  const double served_at_once =
      (1 - wait.probability()) * gamma_tail(service_mean_s, service_cv, t_s);
  if (wait.probability() <= 0) return served_at_once;
  if (service_cv < kNearlyConstant)
    return served_at_once + wait.tail(std::max(0.0, t_s - service_mean_s));
  // P(W + S > t) = E[P(S > t - W)], integrated over the quantiles of W so that the steep density of
  // a gamma with cv > 1 near zero does no harm.
  const auto over_quantiles = [&](double q) {
    const double waited = gamma_percentile(wait.conditional_mean_s(), wait.conditional_cv(), q);
    return gamma_tail(service_mean_s, service_cv, t_s - waited);
  };
  using Gauss = boost::math::quadrature::gauss<double, 30>;
  const double waited_longer = gamma_tail(wait.conditional_mean_s(), wait.conditional_cv(), t_s);
  const double split = 1 - waited_longer;
  const double both = split > 0 ? Gauss::integrate(over_quantiles, 0.0, split) : 0.0;
  return served_at_once + wait.probability() * (both + waited_longer);
}

double response_percentile(const Wait& wait, double service_mean_s, double service_cv, double p) {
  return invert_tail([&](double t) { return response_tail(wait, service_mean_s, service_cv, t); },
                     p, service_mean_s + wait.conditional_mean_s());
}

}  // namespace berth::core
