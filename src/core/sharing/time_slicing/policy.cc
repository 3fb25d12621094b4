#include "core/sharing/time_slicing/policy.h"

#include <algorithm>
#include <array>

#include "core/sharing/time_slicing/rules.h"

namespace berth::core {
namespace {

constexpr std::array kPolicies = {
    TimeSlicingPolicy{
        "berth",
        "lengths known: the shortest first, unless a job would end late; known badly: "
        "also unless it may be long; "
        "unknown: what has had little and is likely to end soon",
        false, make_berth_slicer},
    TimeSlicingPolicy{"fifo", "in the order of arrival", false, make_fifo_slicer},
    TimeSlicingPolicy{"las", "least attained service first", false, make_las_slicer},
    TimeSlicingPolicy{"srtf", "shortest remaining time first", true, make_srtf_slicer},
    TimeSlicingPolicy{"longest", "longest remaining time first", true, make_longest_slicer},
    TimeSlicingPolicy{"least-laxity", "what would make the whole end late first, then the shortest",
                      true, make_least_laxity_slicer},
};

}  // namespace

std::span<const TimeSlicingPolicy> time_slicing_policies() {
  return kPolicies;
}

const TimeSlicingPolicy* find_time_slicing_policy(std::string_view name) {
  const auto at = std::find_if(kPolicies.begin(), kPolicies.end(),
                               [&](const TimeSlicingPolicy& p) { return p.name == name; });
  return at == kPolicies.end() ? nullptr : &*at;
}

}  // namespace berth::core
