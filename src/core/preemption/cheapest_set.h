#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace berth::core {

struct Costed {
  int64_t cost = 0;
  int64_t size = 0;  ///< what it brings; sets below the size that is needed are not tried
};

/// Looks for a set of `items` that suffices and costs less than `known`, which does (or is empty:
/// none is known). Three ways, the cheapest outcome counts:
///  1. least cost for its size first until it suffices, then dropping what it can, the costliest
///     first;
///  2. all sets in the order of their cost, while there are few: then the answer is the optimum;
///  3. replacing one item by a cheaper one, again and again.
/// `suffices` is asked at most `tries` times. Sets are indices in ascending order; ties go to what
/// was found first, and `known` is given back where nothing cheaper was found.
std::vector<size_t> cheapest_set(std::span<const Costed> items, int64_t needed,
                                 std::vector<size_t> known, int tries,
                                 const std::function<bool(std::span<const size_t>)>& suffices);

}  // namespace berth::core
