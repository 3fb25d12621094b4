#include "core/sharing/time_slicing/uncertain.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/sharing/time_slicing/learned.h"
#include "core/sharing/time_slicing/rules.h"

namespace berth::core {
namespace {

constexpr double kLearnedPart = 0.2;
constexpr double kFairnessLimit = 1.1;
constexpr double kLowBy = 0.4;
constexpr double kDeviceExponent = 0.25;
constexpr double kRunningMargin = 1.1;
constexpr double kRunningShare = 0.5;
/// A job that outlives all belief is taken to go on for a tenth of what it had.
constexpr double kDisbelief = 1e-6;
constexpr double kDisbelievedGrowth = 0.1;

/// The probability that a standard normal variable is below `x`.
double normal_below(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

/// The mean of what a job has still to run whose length is `estimate_s` times a lognormal factor of
/// median 1, given that it ran for `attained_s`.
double expected_remaining_s(double estimate_s, double attained_s, double error) {
  const double mean = estimate_s * std::exp(error * error / 2);
  if (attained_s <= 0) return mean;
  const double z = std::log(attained_s / estimate_s) / error;
  const double longer = normal_below(-z);
  if (longer < kDisbelief) return kDisbelievedGrowth * attained_s;
  return mean * normal_below(error - z) / longer - attained_s;
}

}  // namespace

double estimate_error(const SliceView& view) {
  double sum = 0;
  int count = 0;
  const auto add = [&](double time_s, double estimate_s) {
    sum += std::pow(std::log(time_s / estimate_s), 2);
    ++count;
  };
  for (const PastJob& past : view.past)
    if (past.estimate_s.value_or(0) > 0) add(past.runtime_s, *past.estimate_s);
  for (const SliceJob& job : view.jobs)
    if (job.estimate_s.value_or(0) > 0 && job.attained_s > *job.estimate_s)
      add(job.attained_s, *job.estimate_s);
  return std::sqrt(sum / (count + 1));
}

std::vector<size_t> uncertain_order(const SliceView& view, double error) {
  std::vector<double> remaining;
  double work = 0;
  for (const SliceJob& job : view.jobs) {
    const double estimate = std::max(*job.estimate_s, 1.0);
    remaining.push_back(kLearnedPart * learned_remaining_s(view, job) +
                        (1 - kLearnedPart) * expected_remaining_s(estimate, job.attained_s, error));
    work += remaining.back() * job.devices;
  }
  std::vector<SliceKey> keys;
  for (size_t i = 0; i < view.jobs.size(); ++i) {
    const SliceJob& job = view.jobs[i];
    const double margin = job.running ? kRunningMargin : 1;
    const double fairness = margin * (view.now_s + remaining[i] - job.arrived_s) /
                            ((job.attained_s + remaining[i]) * view.contention);
    const double perhaps =
        margin *
        std::max(remaining[i], *job.estimate_s * std::exp(kLowBy * error) - job.attained_s);
    if (fairness > kFairnessLimit)
      keys.push_back({0, -fairness});
    else if (perhaps > work / view.devices)
      keys.push_back({1, -perhaps});
    else
      keys.push_back({2, remaining[i] * std::pow(job.devices, kDeviceExponent) *
                             (job.running ? kRunningShare : 1)});
  }
  return order_by(view, keys);
}

}  // namespace berth::core
