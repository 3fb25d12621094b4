#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Runs a Job's pods to completion: completions and parallelism, indexes, back-off and its limits,
/// deadline, suspension, failure policy, time to live; and makes a Job that is labelled
/// `berth.dev/gang: "true"` one gang by giving it a PodGroup. Pods taken by preemption are replaced
/// and do not count as failures.
extern const Controller kJob;

}  // namespace berth::controllers
