#pragma once

#include <span>

#include "core/scaling/serving/steady_state.h"

namespace berth::core {

/// What requests cost a replica, in seconds of its time, while its iterations are as long as the
/// TPOT objective allows: an iteration's fixed part is then spread as thin as it may be. From the
/// fixed point of `SteadyState`, T = a / (1 - L W): a replica takes the rate L with L W = 1 - a /
/// T.
struct WorkRates {
  double per_prompt_token_s = 0;
  double per_prompt_token2_s = 0;  ///< attention: by the square of the prompt's tokens
  double per_output_token_s = 0;
  double capacity = 1;     ///< 1 - a / T: work done a second
  double iteration_s = 0;  ///< of a busy batch without prompts

  double work_s(double prompt_tokens, double output_tokens) const {
    return (per_prompt_token_s + per_prompt_token2_s * prompt_tokens) * prompt_tokens +
           per_output_token_s * output_tokens;
  }
  /// From its turn to its first token.
  double prompt_s(double prompt_tokens) const { return work_s(prompt_tokens, 0) + 2 * iteration_s; }
};

WorkRates work_rates(const ServingProfile& profile, std::span<const RequestShape> shapes,
                     double tpot_s, int max_in_flight);

}  // namespace berth::core
