#pragma once

#include <span>

#include "traces/openb.h"

namespace berth::simulation {

/// No policy, not even one that knows what will arrive and may move what it placed, has more GPU
/// allocated (percent of all GPUs, mean over the events at which `percent` of capacity has
/// arrived, before rounding).
///
/// Why it holds: what a real placement uses also satisfies a linear programme that forgets node
/// borders. Nodes of one kind (equal CPU, memory, GPUs, model) are one pool; pods may be split; a
/// pod enters a pool only if it fits an empty node of the kind. In a pool the sums of CPU, of
/// memory, and of f(share) over the devices taken stay within what there is, for each of several
/// dual feasible functions f (Fekete and Schepers 2001): shares that fit one device have images
/// that do. Any prices on these limits bound the programme's optimum from above (weak duality), so
/// a poor search for prices makes the bound loose, never wrong. The optimum is concave in demand:
/// the value at the mean of the events' demands is at least the mean of their values.
double openb_upper_bound_percent(std::span<const traces::OpenbNode> nodes,
                                 std::span<const traces::OpenbPod> pods,
                                 const traces::OpenbArrivals& arrivals, int percent = 100);

}  // namespace berth::simulation
