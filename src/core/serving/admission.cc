#include "core/serving/admission.h"

#include <algorithm>
#include <cmath>

namespace berth::core {

void DrainRate::on_work(int64_t work, bool backlog, Time now) {
  if (busy_) {
    pending_ += work;
    const double elapsed_s = (now - since_).to_seconds();
    // Ends within a moment of each other count together: a rate over no time means nothing.
    if (elapsed_s >= window_.to_seconds() / 100) {
      const double share = 1 - std::exp(-elapsed_s / window_.to_seconds());
      rate_ += share * (static_cast<double>(pending_) / elapsed_s - rate_);
      weight_ += share * (1 - weight_);
      pending_ = 0;
      since_ = now;
    }
  } else if (backlog) {
    pending_ = 0;
    since_ = now;
  }
  busy_ = backlog;
}

double DrainRate::work_per_s() const {
  return weight_ > 0 ? rate_ / weight_ : 0;
}

Duration expected_wait(int64_t work_ahead, double work_per_s) {
  if (work_per_s <= 0 || work_ahead <= 0) return {};
  return Duration::from_seconds(std::min(static_cast<double>(work_ahead) / work_per_s, 1e6));
}

int retry_after_s(Duration wait) {
  return static_cast<int>(std::clamp(std::ceil(wait.to_seconds()), 1.0, 60.0));
}

}  // namespace berth::core
