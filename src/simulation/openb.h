#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "core/placement/fleet.h"
#include "traces/openb.h"

namespace berth::simulation {

/// The openb placement benchmark (Weng et al., USENIX ATC 2023): pods arrive and never leave.
struct OpenbRun {
  std::span<const traces::OpenbNode> nodes;
  std::span<const traces::OpenbPod> pods;
  const traces::OpenbArrivals& arrivals;
  std::string_view policy;
  uint64_t seed = 42;       ///< of the policy `random`
  bool plain_scan = false;  ///< score every node for every pod: the reference for speed
  /// Also time every decision on its own, by this clock; null: not.
  const Clock* each = nullptr;
};

struct OpenbPlacement {
  int32_t node = -1;  ///< row of the node table; -1: it fitted nowhere
  core::DeviceSet devices = 0;
};

/// At a whole percent of arrived demand.
struct OpenbPoint {
  int arrived_percent = 0;
  double allocated_percent = 0;
  double fragmented_percent = 0;
};

struct OpenbResult {
  double allocated_percent_at_100 = 0;
  double allocated_percent_at_130 = 0;
  double fragmented_percent_at_95 = 0;
  uint64_t placed = 0;
  uint64_t decisions = 0;
  double decision_seconds = 0;
  std::vector<Duration> decision_times;  ///< with OpenbRun::each, in the order of arrival
  uint64_t index_bytes = 0;
  std::vector<OpenbPlacement> placements;  ///< in the order of arrival
  std::vector<OpenbPoint> curve;           ///< percents 1 to 130
};

/// Shuffled pods, then uniform draws, until GPU demand would pass 1.3 of capacity; nodes permuted.
traces::OpenbArrivals generate_openb_arrivals(std::span<const traces::OpenbNode> nodes,
                                              std::span<const traces::OpenbPod> pods,
                                              uint64_t seed);

/// `clock` only measures. Fails for an unknown policy.
Result<OpenbResult> run_openb(const OpenbRun& run, const Clock& clock);

}  // namespace berth::simulation
