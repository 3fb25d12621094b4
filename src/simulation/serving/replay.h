#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/scaling/serving/serving_profile.h"
#include "traces/serving/request_log.h"

namespace berth::simulation {

/// When one request was answered, in seconds since it arrived. A request that cannot fit the
/// engine's memory is refused and has no times.
struct ServedTimes {
  bool refused = false;
  double ttft_s = 0;  ///< to the first token
  double tpot_s = 0;  ///< mean gap between the tokens after the first; 0 where there is one token
  double e2e_s = 0;   ///< to the last token
};

struct ServingRun {
  std::vector<ServedTimes> requests;  ///< in the order given
  int64_t iterations = 0;
  int64_t preemptions = 0;
  double makespan_s = 0;
};

/// Replays requests, sorted by arrival, on one engine of this profile in virtual time.
ServingRun replay(const core::ServingProfile& profile,
                  std::span<const traces::ServedRequest> requests);

struct Summary {
  double mean = 0, p50 = 0, p90 = 0, p99 = 0;
};

/// Percentiles by linear interpolation between the closest ranks; zeros of nothing.
Summary summarize(std::vector<double> values);

}  // namespace berth::simulation
