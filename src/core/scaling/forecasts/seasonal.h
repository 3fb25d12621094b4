#pragma once

#include "core/scaling/forecasts/forecast.h"

namespace berth::core {

/// As it was a season ago, scaled by how the last half hour compares with its own season before;
/// the last value until a season has passed.
class Seasonal : public Forecast {
 public:
  Seasonal(size_t season_periods, size_t recent_periods)
      : season_(season_periods), recent_(recent_periods) {}
  void observe(double value) override;
  double ahead(int periods) const override;

 private:
  double ago(size_t periods) const;  ///< 0: the last value

  size_t season_, recent_;
  std::vector<double> ring_;
  size_t count_ = 0;
};

}  // namespace berth::core
