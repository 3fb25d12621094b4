#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace berth::core {

/// One prompt, or part of one, that an iteration computes.
struct PromptChunk {
  int tokens = 0;
  int context = 0;  ///< tokens of the same prompt that are computed already
};

/// What an iteration of a continuously batching engine has to do.
struct Batch {
  std::vector<PromptChunk> prompts;
  int decodes = 0;                 ///< sequences that get their next token
  int64_t decode_context_sum = 0;  ///< their contexts, in tokens, together
  int decode_context_max = 0;

  int tokens() const;
  int sequences() const { return static_cast<int>(prompts.size()) + decodes; }
};

/// Iteration time as a linear model, in seconds: what a run's own request log can tell.
///   base + per_sequence * sequences + per_token * tokens + per_context_token * decode contexts
///        + per_prompt_pair * sum(chunk * (context + chunk / 2))
struct LinearCost {
  double base_s = 0;
  double per_sequence_s = 0;
  double per_token_s = 0;
  double per_context_token_s = 0;
  double per_prompt_pair_s = 0;

  double seconds(const Batch& batch) const;
};

/// A piecewise linear function given by points; beyond its ends it goes on as its last piece does.
struct Curve {
  std::vector<double> x;  ///< strictly increasing
  std::vector<double> y;

  double at(double value) const;
};

/// Iteration time from kernel measurements: dense layers by the tokens of the batch, what is done
/// once a sequence (head, sampler) by sequences, and attention on a grid.
struct KernelCost {
  static constexpr size_t kAxes = 4;

  Curve dense_s;      ///< all layers, by tokens
  Curve sequences_s;  ///< by sequences
  /// Prompt tokens, their context, decodes, mean context of a decode; each starts at 0.
  std::array<std::vector<double>, kAxes> axes;
  /// Attention of all layers, in seconds, row-major in the order of `axes`; negative where it was
  /// not measured.
  std::vector<double> attention_s;
  /// Unequal contexts cost more than their mean says: it counts as mean + skew * (max - mean).
  double context_skew = 0;

  double seconds(const Batch& batch) const;

 private:
  double attention(double prompt_tokens, double prompt_context, double decodes,
                   double decode_context) const;
};

/// Limits of the engine, as it was started.
struct BatchingLimits {
  int max_sequences = 256;
  int max_batched_tokens = 2048;
  int block_tokens = 16;
  int kv_blocks = 0;  ///< 0: memory is no limit
  /// Blocks of a preempted sequence that nobody took meanwhile are not computed again.
  bool prefix_caching = false;
};

/// Measured behaviour of (model, accelerator, engine).
struct ServingProfile {
  std::string model;
  std::string accelerator;
  std::string engine;
  std::variant<LinearCost, KernelCost> cost;
  BatchingLimits limits;
  double load_s = 0;  ///< from start to ready

  double iteration_s(const Batch& batch) const;
};

}  // namespace berth::core
