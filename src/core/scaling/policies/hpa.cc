#include "core/scaling/policies/hpa.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include <fmt/format.h>

namespace berth::core {
namespace {

constexpr double kSync_s = 15, kTolerance = 0.1, kStabilization_s = 300, kTargetShare = 0.7;

class Hpa : public ScalingPolicy {
 public:
  explicit Hpa(const ScaledService& service)
      : service_(service), target_(kTargetShare * target_concurrency(service)) {}

  ScalingDecision decide(const ServiceView& view) override {
    if (view.now_s < next_s_) return {answer_, reason_, {}};
    next_s_ = view.now_s + kSync_s;
    const int have = view.ready + view.starting;
    const int ready = std::max(1, view.ready);
    const double in_flight =
        mean_over(view, service_.window_s, kSync_s, &ServiceSample::concurrency);
    const double ratio = in_flight / ready / target_;
    double wanted = have;
    if (std::abs(ratio - 1) > kTolerance) wanted = std::ceil(ready * ratio - 1e-9);
    // Replicas that start count as idle: they never make it grow further.
    if (wanted > ready && wanted < have) wanted = have;
    wanted = std::min(wanted, std::max(2.0 * have, have + 4.0));
    past_.push_back({view.now_s, wanted});
    while (past_.front().at_s < view.now_s - kStabilization_s) past_.pop_front();
    for (const Past& each : past_)
      if (wanted < have) wanted = std::min<double>(have, std::max(wanted, each.wanted));
    answer_ = within_bounds(service_, wanted);
    reason_ = fmt::format("{:.1f} requests in flight a replica, target {:.1f}", in_flight / ready,
                          target_);
    return {answer_, reason_, {}};
  }

 private:
  struct Past {
    double at_s, wanted;
  };

  const ScaledService service_;
  const double target_;
  double next_s_ = 0;
  std::deque<Past> past_;
  int answer_ = 0;
  std::string reason_;
};

}  // namespace

std::unique_ptr<ScalingPolicy> make_hpa(const ScaledService& service) {
  return std::make_unique<Hpa>(service);
}

}  // namespace berth::core
