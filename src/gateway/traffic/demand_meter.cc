#include "gateway/traffic/demand_meter.h"

#include <algorithm>
#include <utility>

namespace berth::gateway {
namespace {

constexpr double kCalibration = 0.05;  ///< weight of a new answer

}  // namespace

bool AnswerTimes::within(const Objective& objective) const {
  if (objective.latency && total > *objective.latency) return false;
  if (first_token) {
    return (!objective.ttft || *first_token <= *objective.ttft) &&
           (!objective.tpot || !per_token || *per_token <= *objective.tpot);
  }
  if (!objective.ttft || !objective.tpot) return !objective.ttft || total <= *objective.ttft;
  return total <= *objective.ttft + *objective.tpot * std::max<int64_t>(0, output_tokens - 1);
}

void DemandMeter::on_arrival(int64_t estimated_tokens) {
  const double tokens = tokens_per_estimate_ * static_cast<double>(estimated_tokens);
  demand_.sample.arrivals += 1;
  demand_.sample.prompt_tokens += tokens;
  demand_.sample.prompt_tokens2 += tokens * tokens;
}

void DemandMeter::on_level(Time now, int served, size_t waiting) {
  const double seconds = since_.ns == 0 ? 0 : (now - since_).to_seconds();
  demand_.sample.waiting += seconds * waiting_;
  demand_.sample.concurrency += seconds * (waiting_ + served_);
  since_ = now;
  served_ = served;
  waiting_ = static_cast<double>(waiting);
}

void DemandMeter::on_answer(int64_t estimated_tokens, int64_t input_tokens, int64_t output_tokens,
                            std::optional<documents::ServedRequest> served) {
  demand_.sample.ended += 1;
  demand_.sample.output_tokens += static_cast<double>(output_tokens);
  if (estimated_tokens > 0 && input_tokens > 0) {
    const double ratio = static_cast<double>(input_tokens) / static_cast<double>(estimated_tokens);
    const double weight = std::exchange(calibrated_, true) ? kCalibration : 1;
    tokens_per_estimate_ += weight * (ratio - tokens_per_estimate_);
  }
  if (served && demand_.served.size() < documents::kMostServed)
    demand_.served.push_back(*std::move(served));
}

documents::ModelDemand DemandMeter::take(Time now) {
  on_level(now, static_cast<int>(served_), static_cast<size_t>(waiting_));
  return std::exchange(demand_, {});
}

}  // namespace berth::gateway
