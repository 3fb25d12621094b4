#pragma once

#include <optional>

#include "base/time.h"
#include "documents/demand_report.h"

namespace berth::gateway {

/// What is asked of a model's answers; what is not set is not asked.
struct Objective {
  std::optional<Duration> ttft;          ///< to the first token
  std::optional<Duration> tpot;          ///< mean gap between tokens after it
  std::optional<Duration> latency = {};  ///< to the last token

  bool operator==(const Objective&) const = default;
};

/// How an answer's times compare with an objective. One that came as a whole has only its end,
/// which may take as long as all of its tokens may.
struct AnswerTimes {
  std::optional<Duration> first_token;  ///< of a stream
  std::optional<Duration> per_token;    ///< of a stream of at least two tokens
  Duration total;
  int64_t output_tokens = 0;

  bool within(const Objective& objective) const;
};

/// What one model's traffic comes to, since it was last taken.
class DemandMeter {
 public:
  /// `estimated_tokens` of its prompt. What arrives is corrected by how far the estimates were off.
  void on_arrival(int64_t estimated_tokens);
  /// From now on so many are served, and so many wait.
  void on_level(Time now, int served, size_t waiting);
  void on_answer(int64_t estimated_tokens, int64_t input_tokens, int64_t output_tokens,
                 std::optional<documents::ServedRequest> served);
  void on_missed() { demand_.sample.missed += 1; }

  /// All but the model's name and `held`; begins anew.
  documents::ModelDemand take(Time now);

 private:
  documents::ModelDemand demand_;
  double tokens_per_estimate_ = 1;
  bool calibrated_ = false;
  Time since_{};
  double served_ = 0, waiting_ = 0;
};

}  // namespace berth::gateway
