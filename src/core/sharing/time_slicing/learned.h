#pragma once

#include "core/sharing/time_slicing/policy.h"

namespace berth::core {

/// How long `job` may still run, from jobs that ended: the mean of what those still had to run that
/// got this far, jobs of the same model counting five times as much as others, and ten times a
/// prior of one and a half times what it has had (long jobs go on long), at least 40 minutes.
double learned_remaining_s(const SliceView& view, const SliceJob& job);

/// The order where nothing is estimated: jobs whose finish-time fairness would pass 1.25 first, the
/// worst ahead; then by learned remaining time x sqrt(devices). What runs counts as having half of
/// that left, which keeps restarts rare.
std::vector<size_t> learned_order(const SliceView& view);

}  // namespace berth::core
