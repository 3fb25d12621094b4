#include "core/serving/prompt_pacer.h"

#include <algorithm>

namespace berth::core {

Duration PromptPacer::patience(int64_t input_tokens) const {
  return ttft - Duration::from_seconds(rates.prompt_s(static_cast<double>(input_tokens)));
}

Duration PromptPacer::spacing(int64_t input_tokens, int64_t output_tokens, Duration waited) const {
  const double patience_s = std::max(1e-3, patience(input_tokens).to_seconds());
  const double urgency = std::clamp(waited.to_seconds() / patience_s, 0.0, 1.0);
  const double pace = kCalm + (kUrgent - kCalm) * urgency;
  const double work_s =
      rates.work_s(static_cast<double>(input_tokens), static_cast<double>(output_tokens));
  return Duration::from_seconds(work_s / (rates.capacity * pace));
}

}  // namespace berth::core
