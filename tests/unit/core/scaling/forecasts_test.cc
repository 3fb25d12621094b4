#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "core/scaling/forecasts/chosen.h"
#include "core/scaling/forecasts/holt_winters.h"
#include "core/scaling/forecasts/last_value.h"
#include "core/scaling/forecasts/seasonal.h"

namespace berth::core {
namespace {

TEST(LastValue, IsTheLastValue) {
  LastValue forecast;
  forecast.observe(3);
  forecast.observe(5);
  EXPECT_EQ(forecast.ahead(1), 5);
  EXPECT_EQ(forecast.ahead(100), 5);
}

TEST(Smoothed, IsThePlainMeanAtFirst) {
  Smoothed forecast(100);
  for (const double value : {1, 2, 3}) forecast.observe(value);
  EXPECT_DOUBLE_EQ(forecast.ahead(4), 2);
}

TEST(Holt, GoesOnWithARiseAndDampsIt) {
  Holt forecast;
  for (int i = 0; i < 200; ++i) forecast.observe(i);
  EXPECT_GT(forecast.ahead(4), 199);
  EXPECT_LT(forecast.ahead(4), 204);
  EXPECT_LT(forecast.ahead(1000), 230);
}

TEST(Holt, IsNeverNegative) {
  Holt forecast;
  for (int i = 100; i >= 0; i -= 10) forecast.observe(i);
  EXPECT_GE(forecast.ahead(50), 0);
}

double wave(int i) {
  return 10 + 5 * std::sin(2 * std::numbers::pi * i / 24);
}

TEST(HoltWinters, KnowsTheSeasonAfterOneCycle) {
  HoltWinters forecast(24);
  for (int i = 0; i < 72; ++i) forecast.observe(wave(i));
  for (const int ahead : {1, 6, 12, 24})
    EXPECT_NEAR(forecast.ahead(ahead), wave(71 + ahead), 0.6) << ahead;
}

TEST(Seasonal, IsYesterdayAtTodaysLevel) {
  Seasonal forecast(24, 4);
  for (int i = 0; i < 48; ++i) forecast.observe(wave(i));
  for (int i = 48; i < 60; ++i) forecast.observe(2 * wave(i));
  EXPECT_NEAR(forecast.ahead(6), 2 * wave(65), 0.01);
}

TEST(ChosenForecast, TakesTheTrendWhereThereIsOne) {
  ChosenForecast chosen(15, 5);
  for (int i = 0; i < 100; ++i) chosen.observe(100 + 10 * i);
  EXPECT_EQ(chosen.name(), "holt");
  EXPECT_NEAR(chosen.ahead(), 100 + 10 * 104, 60);
}

TEST(ChosenForecast, TakesTheMeanWhereValuesJumpAboutOne) {
  ChosenForecast chosen(15, 5);
  Rng rng(4);
  for (int i = 0; i < 400; ++i) chosen.observe(rng.exponential(10));
  EXPECT_TRUE(chosen.name().starts_with("smoothed")) << chosen.name();
  EXPECT_NEAR(chosen.ahead(), 10, 3);
}

TEST(ChosenForecast, RemembersWhatItForetold) {
  ChosenForecast chosen(15, 2);
  for (const double value : {1.0, 2.0, 3.0, 4.0}) chosen.observe(value);
  // The last value was 2 when period 4 was foretold.
  EXPECT_EQ(chosen.name(), "last-value");
  EXPECT_DOUBLE_EQ(chosen.foretold(0), 2);
  EXPECT_DOUBLE_EQ(chosen.foretold(1), 1);
}

}  // namespace
}  // namespace berth::core
