#pragma once

#include "base/time.h"
#include "core/scaling/serving/work_rates.h"

namespace berth::core {

/// When a replica may be given its next prompt. An engine takes every prompt that it is given into
/// its next iterations, which makes the tokens of all that it decodes late; what it is not given
/// yet does no harm. So prompts are held at the gateway and given out no faster than iterations
/// within the TPOT objective can compute them: a prompt of w seconds' work every w / (capacity *
/// pace).
///
/// The pace rises with how urgent the prompt is: while the TTFT objective leaves time there is
/// slack to keep iterations short, and when it runs out throughput counts. Measured on the Azure
/// code trace (`berth simulate fleet`): between these two, attainment is flat.
struct PromptPacer {
  static constexpr double kCalm = 0.5, kUrgent = 0.9;

  WorkRates rates = {};
  Duration ttft = {};  ///< the objective

  /// How long it may wait for its turn and still be in time.
  Duration patience(int64_t input_tokens) const;
  /// For how long a replica has enough with such a request, which waited for its turn.
  Duration spacing(int64_t input_tokens, int64_t output_tokens, Duration waited) const;
};

}  // namespace berth::core
