#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/scaling/policies/scaling_policy.h"
#include "simulation/fleet/workload.h"

namespace berth::simulation {

/// What one fleet did. Requests that arrive before `warm_up_s` are served but not judged, and
/// device time before it is not counted: every policy starts with a fleet it did not choose.
struct FleetOutcome {
  int64_t requests = 0;
  int64_t inside = 0;   ///< all times within the objective
  int64_t refused = 0;  ///< by deadline; outside
  int64_t late = 0;     ///< TTFT outside
  int64_t slow = 0;     ///< begun in time, TPOT or the whole outside
  double device_s = 0;  ///< from order to gone, loading and draining included
  int64_t cold_starts = 0;
  int64_t output_tokens = 0;
  double ttft_p95_s = 0, tpot_p95_s = 0;
  std::vector<int> misses_by_minute;
  std::vector<double> replicas_by_minute;  ///< held, mean
  std::vector<double> arrivals_by_minute;

  double attainment() const {
    return requests == 0 ? 1 : static_cast<double>(inside) / static_cast<double>(requests);
  }
  double device_hours() const { return device_s / 3600; }
  /// Requests inside per device-hour.
  double goodput() const {
    return device_s == 0 ? 0 : static_cast<double>(inside) / device_hours();
  }
};

/// What stands in front of the replicas.
enum class FleetGateway {
  /// Prompts are paced, and one that cannot begin in time is refused.
  kBerth,
  /// The least outstanding work, at once, until the engines' own limit: what others do.
  kPlain,
};

struct FleetRun {
  const RequestLoad* workload = nullptr;
  core::ScaledService service;
  int initial_replicas = 1;  ///< ready at the start
  double warm_up_s = 0;
  FleetGateway gateway = FleetGateway::kBerth;
};

/// Replicas to have from now on.
using FleetScaler = std::function<int(const core::ServiceView&)>;

/// One service's fleet in virtual time: every replica an engine of the serving model, requests
/// queued and routed by what the gateway does it with (core/serving/dispatcher.h), the scaler
/// asked once a tick. What is ordered costs from that moment and is ready a cold start later; what
/// is given up drains. Deterministic.
FleetOutcome run_fleet(const FleetRun& run, const FleetScaler& scaler);

/// The same under a named policy.
FleetOutcome run_fleet(const FleetRun& run, const core::ScalingPolicyRow& policy);

}  // namespace berth::simulation
