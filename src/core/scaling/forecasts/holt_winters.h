#pragma once

#include "core/scaling/forecasts/forecast.h"

namespace berth::core {

/// Exponential smoothing of level and damped trend (Holt 1957; Gardner and McKenzie 1985): follows
/// a load that rises or falls for a while. The trend is damped, so that a spike is not drawn on as
/// a line for ever.
class Holt : public Forecast {
 public:
  void observe(double value) override;
  double ahead(int periods) const override;

 private:
  static constexpr double kLevel = 0.5, kTrend = 0.2, kDamping = 0.9;
  double level_ = 0, trend_ = 0;
  bool begun_ = false;
};

/// Holt-Winters with a multiplicative season (Winters 1960): the level is followed at once, the
/// season's shape from one cycle to the next. Until a whole cycle has been seen it is the level.
class HoltWinters : public Forecast {
 public:
  explicit HoltWinters(size_t season_periods) : factors_(season_periods, 1.0) {}
  void observe(double value) override;
  double ahead(int periods) const override;

 private:
  static constexpr double kLevel = 0.2, kSeason = 0.3;
  std::vector<double> factors_;
  std::vector<double> first_;  ///< the first cycle's values, until it is whole
  size_t at_ = 0;
  double level_ = 0;
  bool begun_ = false;
};

}  // namespace berth::core
