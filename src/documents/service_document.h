#pragma once

#include <string>

#include "base/error.h"
#include "core/scaling/policies/scaling_policy.h"
#include "objects/json.h"

namespace berth::documents {

/// Reads what scaling needs of a ModelService document: `spec.replicas.{min,max}`,
/// `spec.objective.{ttft,tpot,latency}.{percentile,target}` and `spec.scaling.{idleAfter,holdFor}`,
/// into `service`; what the document does not say stays. The share of requests that has to be
/// inside is the larger percentile. Errors name `where` the document is.
Result<> read_scaled_service(const Json& document, const std::string& where,
                             core::ScaledService& service);

}  // namespace berth::documents
