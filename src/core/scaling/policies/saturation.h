#pragma once

#include "core/scaling/policies/scaling_policy.h"

namespace berth::core {

/// The saturation rule of the vLLM production stack and llm-d: one replica more when the spare KV
/// memory (up to 80% of it) falls below 10%, or the spare queue (up to 5 a replica) below 3; one
/// less when with one less both would still be spare. Looked at every 30 s, not while one starts.
std::unique_ptr<ScalingPolicy> make_saturation(const ScaledService& service);

}  // namespace berth::core
