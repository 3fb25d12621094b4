#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/load/plan.h"
#include "cli/load/runner.h"
#include "core/scaling/serving/serving_profile.h"
#include "traces/serving/request_log.h"

namespace berth::cli {

/// What a server tells of itself: llama.cpp its slots (`/props`), vLLM its KV blocks (`/metrics`).
/// What it does not tell stays as given. False where it does not tell how many requests it answers
/// at once.
Result<bool> read_engine_of(const LoadTarget& target, core::ServingProfile& profile);

/// A short load that shows how an engine behaves: clients that wait for their answers, first one,
/// then twice as many up to `most_clients`, and at the end requests that come as they like, at 0.6
/// of the rate that the most clients reached. Each part lasts a share of `duration_s`.
struct ProbeLoad {
  Length input, output;  ///< in tokens of the engine
  double duration_s = 60;
  size_t most_clients = 8;
  uint64_t seed = 1;
};

/// Puts the load on a server and tells how it was answered, one part after the other. `say` hears
/// what is done. Fails where an answer does, or does not tell its tokens.
Result<std::vector<traces::ServedRequest>> probe_engine(
    const LoadTarget& target, const ProbeLoad& load,
    const std::function<void(const std::string&)>& say);

}  // namespace berth::cli
