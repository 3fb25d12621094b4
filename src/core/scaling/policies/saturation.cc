#include "core/scaling/policies/saturation.h"

#include <algorithm>

#include <fmt/format.h>

namespace berth::core {
namespace {

constexpr double kSync_s = 30, kKvFull = 0.8, kQueueFull = 5, kSpareKv = 0.1, kSpareQueue = 3;

class Saturation : public ScalingPolicy {
 public:
  explicit Saturation(const ScaledService& service) : service_(service) {}

  ScalingDecision decide(const ServiceView& view) override {
    const int have = view.ready + view.starting;
    if (view.now_s < next_s_ || view.starting > 0)
      return {within_bounds(service_, have), reason_, {}};
    next_s_ = view.now_s + kSync_s;
    const int ready = std::max(1, view.ready);
    const double kv = mean_over(view, service_.window_s, kSync_s, &ServiceSample::kv_used);
    const double waiting =
        mean_over(view, service_.window_s, kSync_s, &ServiceSample::waiting) / ready;
    const double in_flight =
        mean_over(view, service_.window_s, kSync_s, &ServiceSample::concurrency);
    const auto spare = [&](double share) {
      return kKvFull - kv * share >= kSpareKv && kQueueFull - waiting * share >= kSpareQueue;
    };
    int wanted = have;
    if (!spare(1)) {
      ++wanted;
    } else if (ready > 1 && spare(static_cast<double>(ready) / (ready - 1)) &&
               in_flight <= service_.profile->limits.max_sequences * (ready - 1.0)) {
      --wanted;
    } else if (ready == 1 && in_flight == 0) {
      wanted = 0;
    }
    if (have == 0 && in_flight > 0) wanted = 1;
    reason_ =
        fmt::format("{:.0f}% of KV memory used, {:.1f} requests wait a replica", 100 * kv, waiting);
    return {within_bounds(service_, wanted), reason_, {}};
  }

 private:
  const ScaledService service_;
  double next_s_ = 0;
  std::string reason_;
};

}  // namespace

std::unique_ptr<ScalingPolicy> make_saturation(const ScaledService& service) {
  return std::make_unique<Saturation>(service);
}

}  // namespace berth::core
