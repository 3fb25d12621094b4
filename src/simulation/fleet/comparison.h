#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "simulation/fleet/fleet.h"

namespace berth::simulation {

/// One policy behind one gateway.
struct Contender {
  const core::ScalingPolicyRow* policy = nullptr;
  FleetGateway gateway = FleetGateway::kBerth;
  /// `hpa`, or `hpa+plain` where its gateway is the plain one.
  std::string name() const;
};

struct ContenderResult {
  std::string name;
  std::vector<FleetOutcome> by_seed;
  /// What the oracle needs for the same attainment, by seed, where it was asked for.
  std::vector<FleetOutcome> oracle;
};

struct Comparison {
  std::vector<ContenderResult> contenders;
  std::vector<FleetOutcome> static_peak;  ///< by seed, with the oracle
};

struct ComparisonRun {
  core::ScaledService service;  ///< without shapes: they are taken from each workload
  std::vector<Contender> contenders;
  std::vector<uint64_t> seeds;
  std::function<RequestLoad(uint64_t seed)> workload;
  /// The workload wraps: its end is played before its beginning so that policies have seen
  /// something when they are first judged.
  double lead_in_s = 600;
  bool oracle = false;
};

/// Every contender on every seed's workload, all from the same first fleet: what the mean load
/// needs with a tenth to spare.
Comparison compare_fleets(const ComparisonRun& run);

/// Lengths of requests spread evenly over a workload.
std::vector<core::RequestShape> shapes_of(const RequestLoad& workload, size_t count = 64);

/// Replicas that the mean load of a workload needs, with a tenth to spare.
int replicas_for_mean(const RequestLoad& workload, const core::ScaledService& service);

}  // namespace berth::simulation
