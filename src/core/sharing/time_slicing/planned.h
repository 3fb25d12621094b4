#pragma once

#include <vector>

#include "core/sharing/time_slicing/policy.h"

namespace berth::core {

/// One way to order jobs whose running times are estimated:
///  1. jobs that must run now for everything to end by the horizon (laxity below `hard_slack` of
///     it), the least laxity first;
///  2. jobs whose finish-time fairness (time from arrival to end, over running time under
///     contention) would pass `fairness_limit`, the worst first;
///  3. jobs with laxity below `slack` of the horizon, the least first;
///  4. the rest by remaining time x devices^`device_exponent`.
/// The horizon is the later of the longest remaining job and `stretch` x all work / devices.
struct PlannedRule {
  double fairness_limit = 0.8;
  double slack = 0.1;
  double stretch = 1.05;
  double device_exponent = 0.25;
  double hard_slack = 0.02;
};

/// Indices of jobs in the order of this rule.
std::vector<size_t> planned_order(const SliceView& view, const PlannedRule& rule);

/// What would come of the jobs that are here under this rule, if the estimates hold and nobody
/// else came. Where `first` is given, these run in the coming round.
struct PlannedOutcome {
  double makespan_s = 0;
  double total_jct_s = 0;
  double worst_fairness = 0;
};
PlannedOutcome roll_out(const SliceView& view, const PlannedRule& rule,
                        const std::vector<size_t>* first = nullptr);

}  // namespace berth::core
