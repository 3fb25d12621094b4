#include "simulation/confidence.h"

#include <array>
#include <cmath>

namespace berth::simulation {

double confidence_95(std::span<const double> values) {
  // Two-sided 95% quantiles of Student's t by degrees of freedom, from 1.
  constexpr std::array kQuantiles = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365,
                                     2.306,  2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
                                     2.131,  2.120, 2.110, 2.101, 2.093, 2.086};
  const size_t count = values.size();
  if (count < 2) return 0;
  double mean = 0;
  for (double value : values) mean += value / static_cast<double>(count);
  double squares = 0;
  for (double value : values) squares += (value - mean) * (value - mean);
  const double quantile = count - 2 < kQuantiles.size() ? kQuantiles[count - 2] : 1.98;
  return quantile *
         std::sqrt(squares / static_cast<double>(count - 1) / static_cast<double>(count));
}

}  // namespace berth::simulation
