#pragma once

#include "core/scaling/forecasts/forecast.h"

namespace berth::core {

/// Tomorrow is like today: the last value, whatever the horizon. Hard to beat a minute ahead.
class LastValue : public Forecast {
 public:
  void observe(double value) override { value_ = value; }
  double ahead(int) const override { return value_; }

 private:
  double value_ = 0;
};

/// The level, averaged exponentially over about `periods`: for load that jumps about a mean.
class Smoothed : public Forecast {
 public:
  explicit Smoothed(double periods) : share_(1 / (periods < 1 ? 1 : periods)) {}
  void observe(double value) override;
  double ahead(int) const override { return level_; }

 private:
  double share_;
  double level_ = 0;
  int seen_ = 0;
};

}  // namespace berth::core
