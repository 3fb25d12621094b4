#include "core/serving/prompt_pacer.h"

#include <algorithm>

namespace berth::core {

void PromptPacer::on_dispatch(double now_s, double work_s, double urgency, const WorkRates& rates) {
  const double pace = kCalm + (kUrgent - kCalm) * std::clamp(urgency, 0.0, 1.0);
  free_s_ = std::max(free_s_, now_s) + work_s / (rates.capacity * pace);
}

}  // namespace berth::core
