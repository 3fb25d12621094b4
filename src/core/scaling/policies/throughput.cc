#include "core/scaling/policies/throughput.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace berth::core {
namespace {

constexpr double kInterval_s = 180;

class Throughput : public ScalingPolicy {
 public:
  explicit Throughput(const ScaledService& service) : service_(service) {}

  ScalingDecision decide(const ServiceView& view) override {
    if (view.now_s < next_s_) return {answer_, reason_, {}};
    if (view.samples.empty()) {
      answer_ = within_bounds(service_, view.ready + view.starting);
      return {answer_, "nothing was seen yet", {}};
    }
    next_s_ = view.now_s + kInterval_s;
    const auto over = [&](double ServiceSample::* field) {
      return mean_over(view, service_.window_s, kInterval_s, field) / service_.window_s;
    };
    const double rate = over(&ServiceSample::arrivals);
    const double ended = over(&ServiceSample::ended);
    const double output = ended > 0 ? over(&ServiceSample::output_tokens) / ended : 1;
    const double prompt = rate > 0 ? over(&ServiceSample::prompt_tokens) / rate : 1;
    Batch batch;
    int largest = 0;
    double iteration_s = 0;
    for (int size = 1; size <= service_.profile->limits.max_sequences; ++size) {
      batch.decodes = size;
      batch.decode_context_max = static_cast<int>(prompt + output / 2);
      batch.decode_context_sum = static_cast<int64_t>(size) * batch.decode_context_max;
      const double seconds = service_.profile->iteration_s(batch);
      if (seconds > service_.objective.tpot_s) break;
      largest = size;
      iteration_s = seconds;
    }
    const double per_replica = largest > 0 ? largest / (iteration_s * std::max(1.0, output)) : 0;
    const double wanted = per_replica > 0 ? std::ceil(rate / per_replica) : service_.max_replicas;
    answer_ = within_bounds(service_, wanted);
    reason_ = fmt::format("{:.2f} requests/s, {:.2f} a replica in batches of {}", rate, per_replica,
                          largest);
    return {answer_, reason_, {}};
  }

 private:
  const ScaledService service_;
  double next_s_ = 0;
  int answer_ = 0;
  std::string reason_;
};

}  // namespace

std::unique_ptr<ScalingPolicy> make_throughput(const ScaledService& service) {
  return std::make_unique<Throughput>(service);
}

}  // namespace berth::core
