#pragma once

#include "core/sharing/time_slicing/policy.h"

namespace berth::core {

/// How far estimates of running times are off: the root mean square of ln(time / estimate) of jobs
/// that ended and of those that have run longer than was estimated, as if one more had been exact.
/// 0 where there are none.
double estimate_error(const SliceView& view);

/// The order where every job has an estimate and these are off by `error` (lognormal, > 0):
///  1. jobs whose finish-time fairness would pass 1.1, the worst first;
///  2. jobs that may well run as long as all the work there is takes on all devices (their estimate
///     is so many deviations low: 0.4), the longest first: a long job that was said to be short and
///     begins late makes everything end late;
///  3. the rest by remaining time x devices^0.25.
/// What remains is what the lognormal leaves of a job that ran this long, and to a fifth what jobs
/// that ended say (`learned_remaining_s`). What runs is preferred throughout, so that restarts are
/// rare.
std::vector<size_t> uncertain_order(const SliceView& view, double error);

}  // namespace berth::core
