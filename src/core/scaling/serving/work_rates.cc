#include "core/scaling/serving/work_rates.h"

#include <algorithm>

namespace berth::core {

WorkRates work_rates(const ServingProfile& profile, std::span<const RequestShape> shapes,
                     double tpot_s, int max_in_flight) {
  double output = 0, context = 0;
  for (const RequestShape& shape : shapes) {
    output += shape.output_tokens;
    context += shape.output_tokens * (shape.prompt_tokens + shape.output_tokens / 2.0);
  }
  const int length = output > 0 ? static_cast<int>(context / output) : 1;
  const auto decodes = [&](int sequences) {
    Batch batch;
    batch.decodes = sequences;
    batch.decode_context_max = length;
    batch.decode_context_sum = static_cast<int64_t>(sequences) * length;
    return batch;
  };
  const int busy = std::max(2, std::min(max_in_flight, profile.limits.max_sequences) / 2);
  const double one_s = profile.iteration_s(decodes(1));
  const double busy_s = profile.iteration_s(decodes(busy));

  WorkRates rates;
  rates.per_output_token_s = (busy_s - one_s) / (busy - 1);
  const double fixed_s = std::max(0.0, one_s - rates.per_output_token_s);
  rates.capacity = std::max(0.05, 1 - fixed_s / tpot_s);

  const int chunk = std::max(1, profile.limits.max_batched_tokens - busy);
  const auto prompt_work = [&](int tokens) {
    double seconds = 0;
    for (int done = 0; done < tokens; done += chunk) {
      Batch batch = decodes(busy);
      batch.prompts.push_back({std::min(chunk, tokens - done), done});
      seconds += profile.iteration_s(batch) - busy_s;
    }
    return seconds;
  };
  // A line and a square through one chunk and four.
  const double once = prompt_work(chunk) / chunk, more = prompt_work(4 * chunk) / (4 * chunk);
  rates.per_prompt_token2_s = std::max(0.0, (more - once) / (3 * chunk));
  rates.per_prompt_token_s = once - rates.per_prompt_token2_s * chunk;
  rates.iteration_s = busy_s;
  return rates;
}

}  // namespace berth::core
