#pragma once

#include "core/scaling/policies/scaling_policy.h"

namespace berth::core {

/// Kubernetes' HorizontalPodAutoscaler on requests in flight a replica: every 15 s
/// ceil(replicas * metric / target), with a tolerance of 10%, at most doubling (or 4 more) at a
/// time, and down only to the highest answer of the last 5 minutes.
/// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale (algorithm details).
/// The target is 70% of the requests that a replica may have in flight within the TPOT objective.
std::unique_ptr<ScalingPolicy> make_hpa(const ScaledService& service);

}  // namespace berth::core
