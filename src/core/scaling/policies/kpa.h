#pragma once

#include "core/scaling/policies/scaling_policy.h"

namespace berth::core {

/// Knative's autoscaler, which AIBrix uses too: concurrency averaged over a stable window of 60 s
/// and a panic window of 6 s; ceil(concurrency / target) with a target of 70% of what a replica may
/// have in flight. When the panic window asks for twice what is ready it panics: it follows the
/// larger answer and does not shrink until 60 s have passed without. Down at most by half at a
/// time. https://knative.dev/docs/serving/autoscaling/kpa-specific
std::unique_ptr<ScalingPolicy> make_kpa(const ScaledService& service);

}  // namespace berth::core
