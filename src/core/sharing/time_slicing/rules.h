#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/sharing/time_slicing/policy.h"

namespace berth::core {

// The rows of `time_slicing_policies()`.

std::unique_ptr<TimeSlicer> make_fifo_slicer();
std::unique_ptr<TimeSlicer> make_las_slicer();
std::unique_ptr<TimeSlicer> make_srtf_slicer();
std::unique_ptr<TimeSlicer> make_longest_slicer();
/// Least laxity towards the earliest time by which everything here could end.
std::unique_ptr<TimeSlicer> make_least_laxity_slicer();
/// Berth's: see time_slicing_berth.cc.
std::unique_ptr<TimeSlicer> make_berth_slicer();

/// A job's place in an order: lower tiers first, then lower values.
struct SliceKey {
  int tier = 0;
  double value = 0;
};
/// Indices of `view.jobs` by their `keys`, then by arrival, then by id.
std::vector<size_t> order_by(const SliceView& view, std::span<const SliceKey> keys);

/// What `job` has still to run by its estimate; never below half a round, as an estimate that has
/// passed says only that the end is near.
double remaining_s(const SliceView& view, const SliceJob& job);

}  // namespace berth::core
