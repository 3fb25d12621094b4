#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace berth::traces {

/// One request to a language model.
struct ServedRequest {
  std::string id;
  double arrival_s = 0;  ///< since the first request of the log
  int prompt_tokens = 0;
  int output_tokens = 0;
  /// Since the same origin, where the log tells them.
  std::optional<double> first_token_s;
  std::optional<double> last_token_s;
};

/// Reads a run's requests, in the order given:
/// - JSON lines with `request_id, input_toks, output_toks`, `queued_ts` (or `arrival_time`) and, if
///   measured, `first_token_ts, last_token_ts` (seconds on one clock), as LLMServingSim records
///   vLLM;
/// - or a CSV with the columns `TIMESTAMP,ContextTokens,GeneratedTokens` of the Azure traces.
/// Arrivals must not go back in time. Errors say `file:line`.
Result<std::vector<ServedRequest>> parse_request_log(std::string_view text,
                                                     const std::string& file);

}  // namespace berth::traces
