#include "core/sharing/time_slicing/learned.h"

#include <algorithm>
#include <cmath>

#include "core/sharing/time_slicing/rules.h"

namespace berth::core {
namespace {

constexpr double kPriorWeight = 10;
constexpr double kPriorGrowth = 1.5;
constexpr double kShortestPrior_s = 2400;
constexpr double kOtherModelWeight = 0.2;
constexpr double kFairnessLimit = 1.25;
/// A running job enters the unfair tier earlier and leads it, so that it does not alternate.
constexpr double kRunningMargin = 1.2;
constexpr double kRunningShare = 0.5;

}  // namespace

double learned_remaining_s(const SliceView& view, const SliceJob& job) {
  double sum = kPriorWeight * std::max(kShortestPrior_s, kPriorGrowth * job.attained_s);
  double weight = kPriorWeight;
  for (const PastJob& past : view.past) {
    if (past.runtime_s <= job.attained_s) continue;
    const double counts = past.model == job.model ? 1 : kOtherModelWeight;
    sum += counts * (past.runtime_s - job.attained_s);
    weight += counts;
  }
  return sum / weight;
}

std::vector<size_t> learned_order(const SliceView& view) {
  std::vector<SliceKey> keys;
  for (const SliceJob& job : view.jobs) {
    const double remaining = learned_remaining_s(view, job);
    const double margin = job.running ? kRunningMargin : 1;
    const double fairness = margin * (view.now_s + remaining - job.arrived_s) /
                            ((job.attained_s + remaining) * view.contention);
    if (fairness > kFairnessLimit) {
      keys.push_back({0, -fairness});
    } else {
      keys.push_back({1, remaining * std::sqrt(job.devices) * (job.running ? kRunningShare : 1)});
    }
  }
  return order_by(view, keys);
}

}  // namespace berth::core
