#pragma once

#include <deque>

#include "core/scaling/forecasts/forecast.h"

namespace berth::core {

/// The forecast that has been best of late, at the horizon for which it is asked: all run side by
/// side, each one's absolute error is discounted by half an hour, and the smallest leads. Another
/// has to be 5% better to take over, so that near-equals do not alternate. Remembers what it
/// foretold, so that residuals (what came / what was foretold) show how far to trust it: bursts are
/// in them.
class ChosenForecast {
 public:
  ChosenForecast(double period_s, int horizon);

  void observe(double value);
  /// For the period `horizon` ahead.
  double ahead() const;
  /// What was foretold, `horizon` before, for the period that ended `periods` ago (0: the last);
  /// `ahead()` of today where nothing was yet.
  double foretold(size_t periods) const;
  std::string_view name() const { return forecasts()[chosen_].name; }

 private:
  struct Candidate {
    std::unique_ptr<Forecast> forecast;
    std::deque<double> pending;  ///< foretold for the periods to come, the next first
    double error = 0;
  };

  static constexpr size_t kMemory = 512;
  double keep_;
  size_t horizon_;
  std::vector<Candidate> candidates_;
  size_t chosen_ = 0;
  std::deque<double> foretold_;  ///< by the chosen one of the time, the latest last
};

}  // namespace berth::core
