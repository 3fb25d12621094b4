#pragma once

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
class PromptPacer {
 public:
  static constexpr double kCalm = 0.5, kUrgent = 0.9;

  /// Not before this is it given another.
  double free_s() const { return free_s_; }
  /// `urgency`: 0 came just now, 1 must begin now.
  void on_dispatch(double now_s, double work_s, double urgency, const WorkRates& rates);

 private:
  double free_s_ = 0;
};

}  // namespace berth::core
