#include "core/scaling/forecasts/chosen.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/scaling/forecasts/holt_winters.h"
#include "core/scaling/forecasts/last_value.h"
#include "core/scaling/forecasts/seasonal.h"

namespace berth::core {
namespace {

constexpr double kDay_s = 86'400, kHour_s = 3600;

size_t periods(double span_s, double period_s) {
  return static_cast<size_t>(std::max(1.0, std::round(span_s / period_s)));
}

constexpr std::array kForecasts = {
    ForecastRow{"last-value", "As now",
                +[](double) -> std::unique_ptr<Forecast> { return std::make_unique<LastValue>(); }},
    ForecastRow{"smoothed-5m", "The mean of the last five minutes",
                +[](double period_s) -> std::unique_ptr<Forecast> {
                  return std::make_unique<Smoothed>(300 / period_s);
                }},
    ForecastRow{"smoothed-30m", "The mean of the last half hour",
                +[](double period_s) -> std::unique_ptr<Forecast> {
                  return std::make_unique<Smoothed>(1800 / period_s);
                }},
    ForecastRow{"holt", "Level and damped trend",
                +[](double) -> std::unique_ptr<Forecast> { return std::make_unique<Holt>(); }},
    ForecastRow{"holt-winters", "Level and the shape of a day",
                +[](double period_s) -> std::unique_ptr<Forecast> {
                  return std::make_unique<HoltWinters>(periods(kDay_s, period_s));
                }},
    ForecastRow{"seasonal", "As yesterday at this time, at today's level",
                +[](double period_s) -> std::unique_ptr<Forecast> {
                  return std::make_unique<Seasonal>(periods(kDay_s, period_s),
                                                    periods(kHour_s / 2, period_s));
                }},
};

}  // namespace

std::span<const ForecastRow> forecasts() {
  return kForecasts;
}

ChosenForecast::ChosenForecast(double period_s, int horizon)
    : keep_(std::exp(-period_s / 1800)), horizon_(static_cast<size_t>(std::max(1, horizon))) {
  for (const ForecastRow& row : forecasts())
    candidates_.push_back({.forecast = row.make(period_s), .pending = {}});
}

void ChosenForecast::observe(double value) {
  foretold_.push_back(candidates_[chosen_].pending.size() == horizon_
                          ? candidates_[chosen_].pending.front()
                          : value);
  if (foretold_.size() > kMemory) foretold_.pop_front();
  for (Candidate& each : candidates_) {
    if (each.pending.size() == horizon_) {
      each.error = keep_ * each.error + std::abs(value - each.pending.front());
      each.pending.pop_front();
    }
    each.forecast->observe(value);
    each.pending.push_back(each.forecast->ahead(static_cast<int>(horizon_)));
  }
  for (size_t i = 0; i < candidates_.size(); ++i)
    if (candidates_[i].error < 0.95 * candidates_[chosen_].error) chosen_ = i;
}

double ChosenForecast::ahead() const {
  return candidates_[chosen_].pending.empty() ? 0 : candidates_[chosen_].pending.back();
}

double ChosenForecast::foretold(size_t periods) const {
  if (periods >= foretold_.size()) return ahead();
  return foretold_[foretold_.size() - 1 - periods];
}

}  // namespace berth::core
