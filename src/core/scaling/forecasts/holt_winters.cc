#include "core/scaling/forecasts/holt_winters.h"

#include <algorithm>
#include <numeric>

namespace berth::core {

void Holt::observe(double value) {
  if (!begun_) {
    level_ = value;
    begun_ = true;
    return;
  }
  const double before = level_;
  level_ = kLevel * value + (1 - kLevel) * (level_ + kDamping * trend_);
  trend_ = kTrend * (level_ - before) + (1 - kTrend) * kDamping * trend_;
}

double Holt::ahead(int periods) const {
  double value = level_, step = trend_;
  for (int i = 0; i < std::min(periods, 200); ++i) step *= kDamping, value += step;
  return std::max(0.0, value);
}

void HoltWinters::observe(double value) {
  const size_t season = factors_.size();
  if (!begun_) {
    first_.push_back(value);
    level_ += 0.2 * (value - level_);
    if (first_.size() < season) return;
    const double mean =
        std::accumulate(first_.begin(), first_.end(), 0.0) / static_cast<double>(season);
    for (size_t i = 0; i < season; ++i) factors_[i] = mean > 0 ? first_[i] / mean : 1;
    first_.clear();
    first_.shrink_to_fit();
    level_ = mean;
    begun_ = true;
    return;
  }
  double& factor = factors_[at_];
  at_ = (at_ + 1) % season;
  // A season that was empty says nothing of the level.
  if (factor > 0.01) level_ += kLevel * (value / factor - level_);
  if (level_ > 0) factor += kSeason * (value / level_ - factor);
}

double HoltWinters::ahead(int periods) const {
  if (!begun_) return level_;
  return std::max(0.0,
                  level_ * factors_[(at_ + static_cast<size_t>(periods) - 1) % factors_.size()]);
}

}  // namespace berth::core
