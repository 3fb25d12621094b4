#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "core/scaling/policies/scaling_policy.h"

namespace CLI {
class App;
}

namespace berth::cli {

/// What is asked of a service, as flags, over what its manifest says.
struct ServiceOptions {
  std::string service, ttft, tpot, latency, cold_start;
  double attainment = 0;  ///< percent; 0: not said
  int max_in_flight = 0;
};

void add_service_options(CLI::App& command, ServiceOptions& options);
/// The service with its profile, which has to outlive it.
Result<core::ScaledService> resolve_service(const ServiceOptions& options,
                                            const core::ServingProfile& profile);

}  // namespace berth::cli
