#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/load/outcome.h"
#include "cli/load/plan.h"
#include "platform/http/url.h"

namespace berth::cli {

struct LoadTarget {
  platform::HttpUrl url;
  std::string model = {};
  std::string key = {};
  bool chat = false;  ///< /v1/chat/completions, else /v1/completions
  bool stream = true;
  bool verify = true;  ///< of TLS
  Duration timeout = Duration::minutes(5);
  JsonObject extra = {};  ///< fields of each request beside these
  size_t max_in_flight = 10'000;
};

/// As a user writes it.
struct TargetOptions {
  std::string url;
  std::string model = {};
  std::string key = {};    ///< empty: $OPENAI_API_KEY, where that is set
  std::string extra = {};  ///< a JSON object, or nothing
};
Result<LoadTarget> load_target(const TargetOptions& options);

struct LoadProgress {
  double elapsed_s = 0;
  size_t in_flight = 0;
  int64_t ok = 0, failed = 0, output_tokens = 0;
};

/// Sends a load and waits for all its answers. `closed` > 0 keeps that many in flight and sends the
/// next when one ends; 0 sends each at its time, whatever became of the others: a server that is
/// too slow is seen as it is. What would be more than `max_in_flight` fails as "not sent".
/// `progress` is called once a second.
Result<std::vector<RequestOutcome>> run_load(
    const LoadTarget& target, LoadPlan plan, size_t closed, double duration_s, uint64_t seed,
    const std::function<void(const LoadProgress&)>& progress);

}  // namespace berth::cli
