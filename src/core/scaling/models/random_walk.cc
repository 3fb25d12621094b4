#include "core/scaling/models/random_walk.h"

#include <cmath>

#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>

namespace berth::core {
namespace {

constexpr double kNearlyConstant = 1e-3;

/// A gamma variable, or a constant when cv is (nearly) 0.
struct Step {
  double mean;
  double cv;

  bool constant() const { return cv < kNearlyConstant; }
  double shape() const { return 1 / (cv * cv); }
  double scale() const { return mean * cv * cv; }
};

/// P(S_n > 0), E[max(S_n, 0)] and E[max(S_n, 0)^2] of S_n = (sum of n ups) - (sum of n downs).
struct Positive {
  double probability = 0, first = 0, second = 0;
};

/// P(X > Y), the shapes of the sums having been raised by i and j: E[X^i Y^j; X > Y] up to a
/// factor.
double exceeds(const Step& up, const Step& down, double n, int i, int j) {
  if (up.constant()) return boost::math::gamma_p(n * down.shape() + j, n * up.mean / down.scale());
  if (down.constant()) return boost::math::gamma_q(n * up.shape() + i, n * down.mean / up.scale());
  return boost::math::ibetac(n * up.shape() + i, n * down.shape() + j,
                             down.scale() / (up.scale() + down.scale()));
}

Positive positive_part(const Step& up, const Step& down, double n) {
  if (up.constant() && down.constant()) return {};  // stable, so never positive
  const double x = n * up.mean, y = n * down.mean;
  // E[X^2 g] = x (x + scale) E[g of the shape raised by 2]; a constant has scale 0.
  const double x2 = x * (x + (up.constant() ? 0 : up.scale()));
  const double y2 = y * (y + (down.constant() ? 0 : down.scale()));
  return {exceeds(up, down, n, 0, 0),
          x * exceeds(up, down, n, 1, 0) - y * exceeds(up, down, n, 0, 1),
          x2 * exceeds(up, down, n, 2, 0) - 2 * x * y * exceeds(up, down, n, 1, 1) +
              y2 * exceeds(up, down, n, 0, 2)};
}

Wait maximum_of_walk(const Step& up, const Step& down) {
  using Gauss = boost::math::quadrature::gauss<double, 10>;
  constexpr int64_t kFirstPanel = 32;
  constexpr int64_t kLastTerm = int64_t{1} << 40;  // 1e12 and a little

  Positive sum;
  const auto add = [&](double n, double weight) {
    const Positive part = positive_part(up, down, n);
    sum.probability += weight * part.probability / n;
    sum.first += weight * part.first / n;
    sum.second += weight * part.second / n;
  };
  for (int64_t n = 1; n < kFirstPanel; ++n) add(static_cast<double>(n), 1);
  // From there the terms are smooth: a sum over [n, 2n) is an integral over [n - 1/2, 2n - 1/2).
  for (int64_t panel = kFirstPanel; panel < kLastTerm; panel *= 2) {
    const double n = static_cast<double>(panel);
    const Positive before = sum;
    const double middle = 1.5 * n - 0.5, half = n / 2;
    for (size_t i = 0; i < Gauss::abscissa().size(); ++i) {
      const double offset = half * Gauss::abscissa()[i], weight = half * Gauss::weights()[i];
      add(middle - offset, weight);
      add(middle + offset, weight);
    }
    if (sum.second - before.second <= 1e-12 * sum.second &&
        sum.probability - before.probability <= 1e-12)
      break;
  }
  const double mean = sum.first, variance = sum.second;  // the first two cumulants
  return Wait::from_moments(-std::expm1(-sum.probability), mean, variance + mean * mean);
}

}  // namespace

Wait wait_gg1(const QueueLoad& load) {
  return maximum_of_walk({load.service_mean_s, load.service_cv},
                         {1 / load.arrivals_per_s, load.arrival_cv});
}

Wait wait_gdc(const QueueLoad& load) {
  return maximum_of_walk({load.service_mean_s, 0}, {load.servers / load.arrivals_per_s,
                                                    load.arrival_cv / std::sqrt(load.servers)});
}

}  // namespace berth::core
