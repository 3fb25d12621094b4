#include "core/scaling/forecasts/seasonal.h"

#include <algorithm>

namespace berth::core {

void Seasonal::observe(double value) {
  const size_t size = season_ + recent_ + 1;
  if (ring_.size() < size)
    ring_.push_back(value);
  else
    ring_[count_ % size] = value;
  ++count_;
}

double Seasonal::ago(size_t periods) const {
  return ring_[(count_ - 1 - periods) % (season_ + recent_ + 1)];
}

double Seasonal::ahead(int periods) const {
  if (count_ == 0) return 0;
  const auto horizon = static_cast<size_t>(periods);
  if (count_ < season_ + recent_ + 1 || horizon > season_) return ago(0);
  double now = 0, then = 0;
  for (size_t i = 0; i < recent_; ++i) now += ago(i), then += ago(i + season_);
  const double level = then > 0 ? now / then : 1;
  return ago(season_ - horizon) * std::clamp(level, 0.2, 5.0);
}

}  // namespace berth::core
