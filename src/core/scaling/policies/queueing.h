#pragma once

#include "core/scaling/policies/scaling_policy.h"

namespace berth::core {

/// Berth's default. Load is work: seconds of a replica's time, by prompt and output tokens and the
/// service's profile. The forecast that has been best of late says how much work will arrive when a
/// replica ordered now is ready. How it will be spread is what was seen: the windows of the last
/// `memory`, each scaled by what was foretold for it to what is foretold now, so that bursts and
/// the forecast's own errors are both in it. Each number of replicas serves these windows as a
/// fluid queue in which work that would wait beyond the TTFT objective is missed; the fewest
/// replicas that miss no more than the objective allows are wanted. What has actually been
/// missed of late corrects what a replica is taken to do.
///
/// Up at once, down only to the most that was wanted during `hold`, so that a replica is not given
/// up that would be ordered again while another one starts. To zero when nothing came for
/// `idle_to_zero`; up from zero with the first request.
std::unique_ptr<ScalingPolicy> make_queueing(const ScaledService& service);

}  // namespace berth::core
