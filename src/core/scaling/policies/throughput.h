#pragma once

#include "core/scaling/policies/scaling_policy.h"

namespace berth::core {

/// The throughput rule of planners such as Dynamo's: every 180 s, the largest batch whose decode
/// iteration stays within the TPOT objective gives a replica's requests a second, and
/// ceil(rate / that) replicas serve the rate of the last 180 s. It sees neither prompts in the same
/// iterations nor waits.
std::unique_ptr<ScalingPolicy> make_throughput(const ScaledService& service);

}  // namespace berth::core
