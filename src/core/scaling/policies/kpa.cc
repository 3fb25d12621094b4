#include "core/scaling/policies/kpa.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace berth::core {
namespace {

constexpr double kStable_s = 60, kPanic_s = 6, kPanicThreshold = 2, kTargetShare = 0.7;
constexpr double kScaleToZeroGrace_s = 30;

class Kpa : public ScalingPolicy {
 public:
  explicit Kpa(const ScaledService& service)
      : service_(service), target_(kTargetShare * target_concurrency(service)) {}

  ScalingDecision decide(const ServiceView& view) override {
    const auto over = [&](double span_s) {
      return mean_over(view, service_.window_s, span_s, &ServiceSample::concurrency);
    };
    const double stable = std::ceil(over(kStable_s) / target_);
    const double panic = std::ceil(over(kPanic_s) / target_);
    const int ready = std::max(1, view.ready);
    if (panic >= kPanicThreshold * ready) {
      if (!panicking_) highest_ = 0;
      panicking_ = true;
      panicked_s_ = view.now_s;
    } else if (panicking_ && view.now_s - panicked_s_ > kStable_s) {
      panicking_ = false;
    }
    double wanted = stable;
    if (panicking_) {
      highest_ = std::max({highest_, panic, stable});
      wanted = highest_;
    }
    wanted = std::max(wanted, std::floor(ready / 2.0));
    if (stable > 0) busy_s_ = view.now_s;
    if (wanted == 0 && view.now_s - busy_s_ < kScaleToZeroGrace_s) wanted = 1;
    return {
        within_bounds(service_, wanted),
        fmt::format("{}: concurrency {:.1f} over 60 s, {:.1f} over 6 s, target {:.1f} a replica",
                    panicking_ ? "panic" : "stable", over(kStable_s), over(kPanic_s), target_),
        {}};
  }

 private:
  const ScaledService service_;
  const double target_;
  bool panicking_ = false;
  double panicked_s_ = 0, highest_ = 0, busy_s_ = 0;
};

}  // namespace

std::unique_ptr<ScalingPolicy> make_kpa(const ScaledService& service) {
  return std::make_unique<Kpa>(service);
}

}  // namespace berth::core
