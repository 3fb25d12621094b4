#pragma once

#include <string>

#include "base/error.h"
#include "core/scaling/policies/scaling_policy.h"

namespace berth::cli {

/// Reads what scaling needs of a ModelService document: `spec.replicas.{min,max}`,
/// `spec.objective.{ttft,tpot}.{percentile,target}` and `spec.scaling.idleAfter`, into `service`;
/// what the document does not say stays. The share of requests that has to be inside is the larger
/// percentile.
Result<> read_service(const std::string& path, core::ScaledService& service);

}  // namespace berth::cli
