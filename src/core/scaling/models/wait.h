#pragma once

namespace berth::core {

/// How long a customer waits before service begins: not at all with probability
/// `1 - probability`, else a gamma-distributed time. The gamma family holds the exponential that
/// Markovian queues have exactly; elsewhere two moments of the true distribution are matched.
class Wait {
 public:
  Wait() = default;
  /// `mean_s` and `cv` are those of the wait given that there is one.
  Wait(double probability, double mean_s, double cv);
  /// From the first two moments over all customers.
  static Wait from_moments(double probability, double mean_s, double second_moment_s2);

  double probability() const { return probability_; }
  double mean_s() const { return probability_ * conditional_mean_s_; }
  double conditional_mean_s() const { return conditional_mean_s_; }
  double conditional_cv() const { return conditional_cv_; }
  /// P(wait > t).
  double tail(double t_s) const;
  /// The time that a share `p` of customers do not exceed; 0 <= p < 1.
  double percentile(double p) const;

 private:
  double probability_ = 0;
  double conditional_mean_s_ = 0;
  double conditional_cv_ = 1;
};

/// P(X > t) of a gamma distribution given by mean and coefficient of variation; cv 0 is a constant.
double gamma_tail(double mean, double cv, double t);
/// The p-quantile of the same.
double gamma_percentile(double mean, double cv, double p);

/// P(wait + service > t) and its percentile, service being independent of the wait and gamma with
/// this mean and cv.
double response_tail(const Wait& wait, double service_mean_s, double service_cv, double t_s);
double response_percentile(const Wait& wait, double service_mean_s, double service_cv, double p);

}  // namespace berth::core
