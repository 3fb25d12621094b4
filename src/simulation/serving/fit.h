#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/error.h"
#include "core/scaling/serving/serving_profile.h"
#include "traces/serving/request_log.h"

namespace berth::simulation {

/// Rows [first, last) of a request log.
struct Take {
  size_t first = 0;
  size_t last = 0;
};

struct Fit {
  core::LinearCost cost;
  /// Of each coefficient: one standard error over its value. By fitting again without each eighth
  /// of the rows taken (the jackknife, with groups of consecutive rows, as these disturb each
  /// other).
  core::LinearCost standard_error;
  /// Root mean square of the relative errors that are left, of the rows that were fitted.
  double error = 0;
  int evaluations = 0;
};

/// The linear iteration cost under which the replayed log comes closest to what was measured of the
/// rows taken: their TTFT, TPOT and end-to-end times. The other rows are load: they are replayed,
/// but what was measured of them is not looked at. Minimised by Nelder and Mead's simplex (NLopt)
/// over the logarithms of the coefficients; the same input
/// gives the same fit. Fails when no row taken was measured.
Result<Fit> fit_linear_cost(const core::BatchingLimits& limits,
                            std::span<const traces::ServedRequest> requests, Take take);

}  // namespace berth::simulation
