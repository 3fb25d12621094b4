#include "core/scaling/serving/serving_profile.h"

#include <algorithm>

namespace berth::core {
namespace {

/// Between which two points of an axis a value lies, and how far towards the second.
struct Bracket {
  size_t low = 0, high = 0;
  double weight_high = 0;
};

Bracket bracket(const std::vector<double>& axis, double value) {
  const auto above = std::lower_bound(axis.begin(), axis.end(), value);
  auto i = static_cast<size_t>(above - axis.begin());
  if (i < axis.size() && *above == value) return {i, i, 0};
  if (i == 0) return {0, 0, 0};
  i = std::min(i, axis.size() - 1);
  return {i - 1, i, (value - axis[i - 1]) / (axis[i] - axis[i - 1])};
}

}  // namespace

int Batch::tokens() const {
  int sum = decodes;
  for (const PromptChunk& chunk : prompts) sum += chunk.tokens;
  return sum;
}

double LinearCost::seconds(const Batch& batch) const {
  double pairs = 0;
  for (const PromptChunk& chunk : batch.prompts)
    pairs += static_cast<double>(chunk.tokens) * (chunk.context + chunk.tokens / 2.0);
  return base_s + per_sequence_s * batch.sequences() + per_token_s * batch.tokens() +
         per_context_token_s * static_cast<double>(batch.decode_context_sum) +
         per_prompt_pair_s * pairs;
}

double Curve::at(double value) const {
  if (x.size() < 2) return y.empty() ? 0 : y[0];
  size_t i = static_cast<size_t>(std::lower_bound(x.begin(), x.end(), value) - x.begin());
  if (i == 0) return y[0];
  i = std::min(i, x.size() - 1);
  return y[i - 1] + (y[i] - y[i - 1]) * (value - x[i - 1]) / (x[i] - x[i - 1]);
}

double KernelCost::attention(double prompt_tokens, double prompt_context, double decodes,
                             double decode_context) const {
  if (prompt_tokens <= 0 && decodes <= 0) return 0;
  const std::array<Bracket, kAxes> at = {
      bracket(axes[0], prompt_tokens), bracket(axes[1], prompt_tokens > 0 ? prompt_context : 0),
      bracket(axes[2], decodes), bracket(axes[3], decodes > 0 ? decode_context : 0)};
  double sum = 0, weights = 0;
  for (unsigned corner = 0; corner < 1U << kAxes; ++corner) {
    double weight = 1;
    std::array<size_t, kAxes> index;
    for (size_t axis = 0; axis < kAxes; ++axis) {
      const bool high = (corner >> axis & 1) != 0;
      weight *= high ? at[axis].weight_high : 1 - at[axis].weight_high;
      index[axis] = high ? at[axis].high : at[axis].low;
    }
    if (weight == 0) continue;
    // Where there are no prompts (or decodes) the grid has one point on the axis of their context;
    // where there are decodes its shortest context stands in for none.
    if (axes[0][index[0]] == 0) index[1] = 0;
    if (axes[2][index[2]] == 0) index[3] = 0;
    if (axes[2][index[2]] > 0 && index[3] == 0) index[3] = 1;
    size_t flat = 0;
    for (size_t axis = 0; axis < kAxes; ++axis) flat = flat * axes[axis].size() + index[axis];
    const bool nothing = axes[0][index[0]] == 0 && axes[2][index[2]] == 0;
    const double value = nothing ? 0 : attention_s[flat];
    if (value < 0) continue;
    sum += weight * value;
    weights += weight;
  }
  return weights == 0 ? 0 : sum / weights;
}

double KernelCost::seconds(const Batch& batch) const {
  double context = 0;
  if (batch.decodes > 0) {
    const double mean = static_cast<double>(batch.decode_context_sum) / batch.decodes;
    context = mean + context_skew * (batch.decode_context_max - mean);
  }
  double attention_s_sum = 0;
  if (batch.prompts.size() <= 1) {
    const PromptChunk chunk = batch.prompts.empty() ? PromptChunk{} : batch.prompts[0];
    attention_s_sum = attention(chunk.tokens, chunk.context, batch.decodes, context);
  } else {
    // Prompts attend only to themselves: each costs what it costs alone, less the fixed part that
    // is paid once; the decodes add what they add to one prompt of that many tokens.
    double prompt_tokens = 0;
    const double fixed = attention(axes[0][1], 0, 0, 0);
    for (const PromptChunk& chunk : batch.prompts) {
      attention_s_sum += attention(chunk.tokens, chunk.context, 0, 0) - fixed;
      prompt_tokens += chunk.tokens;
    }
    attention_s_sum += fixed;
    if (batch.decodes > 0)
      attention_s_sum +=
          attention(prompt_tokens, 0, batch.decodes, context) - attention(prompt_tokens, 0, 0, 0);
  }
  return dense_s.at(batch.tokens()) + sequences_s.at(batch.sequences()) + attention_s_sum;
}

double ServingProfile::iteration_s(const Batch& batch) const {
  return std::visit([&](const auto& chosen) { return chosen.seconds(batch); }, cost);
}

}  // namespace berth::core
