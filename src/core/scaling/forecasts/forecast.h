#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace berth::core {

/// Foresees a load from its past, one value a period. Deterministic, of bounded memory.
class Forecast {
 public:
  virtual ~Forecast() = default;
  /// The value of the period that ended.
  virtual void observe(double value) = 0;
  /// The value `periods` (at least 1) after the last one observed; never negative.
  virtual double ahead(int periods) const = 0;
};

struct ForecastRow {
  std::string_view name;
  std::string_view idea;
  std::unique_ptr<Forecast> (*make)(double period_s);
};

/// All of them. A new one is a file and a row here.
std::span<const ForecastRow> forecasts();

}  // namespace berth::core
