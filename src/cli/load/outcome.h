#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "objects/json.h"

namespace berth::cli {

/// How one request of a load went.
struct RequestOutcome {
  double sent_s = 0;       ///< since the start
  std::string error = {};  ///< empty: answered whole
  double e2e_s = 0;
  std::optional<double> ttft_s = {};
  std::optional<double> tpot_s = {};
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
};

struct Spread {
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};
/// By nearest rank; nothing of nothing.
std::optional<Spread> spread_of(std::vector<double> values);

/// What a load has shown.
struct LoadSummary {
  int64_t ok = 0;
  std::map<std::string, int64_t> errors = {};
  double duration_s = 0;
  int64_t input_tokens = 0, output_tokens = 0;
  std::optional<Spread> ttft_s = {}, tpot_s = {}, e2e_s = {};

  int64_t failed() const;
};
LoadSummary summarise(const std::vector<RequestOutcome>& outcomes, double duration_s);

Json to_json(const LoadSummary& summary);
std::string to_table(const LoadSummary& summary);

/// Reads a streamed or whole answer of the OpenAI API as it comes.
class AnswerWatch {
 public:
  void on_bytes(std::string_view bytes, double at_s, bool stream);
  /// Times are since the same origin as `at_s`. `status` and `problem` as the HTTP client tells.
  RequestOutcome finish(double sent_s, double now_s, int status, const std::string& problem,
                        bool stream);

 private:
  void on_event(std::string_view event);

  std::string pending_;
  std::optional<double> first_s_;
  double last_s_ = 0;
  int64_t events_ = 0;
  std::optional<int64_t> input_tokens_, output_tokens_;
  bool done_ = false;
  std::string error_;
};

}  // namespace berth::cli
