#pragma once

#include <span>

namespace berth::simulation {

/// Half the width of the 95% confidence interval of the mean of independent draws (Student's t);
/// 0 for fewer than two.
double confidence_95(std::span<const double> values);

}  // namespace berth::simulation
