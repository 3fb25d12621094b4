#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "traces/serving/request_log.h"

namespace berth::simulation {

struct FleetRequest {
  double arrival_s = 0;
  int prompt_tokens = 1;
  int output_tokens = 1;
  uint32_t tenant = 0;
};

/// Requests of a service, sorted by arrival, all in [0, length_s).
struct RequestLoad {
  std::vector<FleetRequest> requests;
  double length_s = 0;
};

/// `copies` of a trace on top of each other, each begun at an offset of its own, drawn uniformly by
/// the seed (one copy: offset 0). What runs over the trace's end wraps to its beginning, so the
/// total is the same for every seed. A copy is a tenant.
RequestLoad superpose(std::span<const traces::ServedRequest> trace, int copies, uint64_t seed);

/// The first part of a workload and the rest, as workloads of their own.
RequestLoad part_of(const RequestLoad& workload, double from_s, double to_s);

/// The workload with its own last `lead_s` seconds before it: what a policy has seen when it is
/// first judged, of a workload that wraps.
RequestLoad with_lead_in(const RequestLoad& workload, double lead_s);

/// A service's days, made by a seed: a daily wave with quieter weekends, arrivals in bursts, and
/// flash crowds that come and go within minutes.
struct SyntheticWeek {
  double length_s = 7 * 86'400;
  double mean_rate_per_s = 8;
  double wave = 0.7;      ///< the daily wave goes from 1 - wave to 1 + wave of the mean
  double gap_cv = 4;      ///< gamma gaps
  int flash_crowds = 10;  ///< over the whole length
  double flash_rise = 2;  ///< by how many times the mean rate a crowd comes on top
  double prompt_mean = 1024, prompt_cv = 1;
  double output_mean = 192, output_cv = 0.8;
};
RequestLoad synthetic_week(const SyntheticWeek& shape, uint64_t seed);

}  // namespace berth::simulation
