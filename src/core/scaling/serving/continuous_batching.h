#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "core/scaling/serving/block_pool.h"
#include "core/scaling/serving/serving_profile.h"

namespace berth::core {

/// A continuously batching engine with chunked prefill and paged KV memory, iteration by iteration,
/// in virtual time. The rules are those of vLLM's scheduler: running sequences first, in their
/// order; then waiting ones, first come first served, while tokens, sequences and blocks allow;
/// when blocks run out the youngest running sequence is preempted and later computed again.
///
/// Sequences are numbered by the caller; a number is used once.
class ContinuousBatching {
 public:
  using Sequence = uint32_t;

  /// `profile` outlives the engine.
  explicit ContinuousBatching(const ServingProfile& profile);

  /// Joins the queue. Both counts are at least 1.
  void submit(Sequence sequence, int prompt_tokens, int output_tokens);

  bool idle() const { return running_.empty() && waiting_.empty(); }
  size_t running() const { return running_.size(); }
  size_t waiting() const { return waiting_.size(); }
  /// Share of the KV blocks in use; 0 where memory is no limit.
  double kv_used() const;
  int64_t preemptions() const { return preemptions_; }

  struct Iteration {
    double seconds = 0;
    std::vector<Sequence> first_token;  ///< got their first token at the iteration's end
    std::vector<Sequence> finished;     ///< got their last one
    std::vector<Sequence> refused;      ///< cannot ever fit the memory; they left the queue
  };
  /// Runs the next iteration. Needs an engine that is not idle. The reference holds until the next
  /// call.
  const Iteration& step();

  /// The same for fleets, many iterations at a time: `begin` plans a stretch (one iteration with
  /// prompts, or decodes until a sequence is done) and gives its length in seconds; `cut` ends it
  /// with the iteration that is under way so many seconds after it began; `finish` carries it out.
  /// Between `begin` and `finish` nothing but `submit` and `cut` may be called. Exact where
  /// iteration time is linear; kernel tables are taken as linear between a stretch's ends.
  double begin();
  double cut(double elapsed_s);
  const Iteration& finish();

 private:
  struct State {
    Sequence sequence;
    int prompt_tokens;
    int output_tokens;
    int computed = 0;  ///< tokens whose keys and values are in memory
    int generated = 0;
    int blocks = 0;
    int scheduled = 0;  ///< tokens of this iteration

    int target() const { return prompt_tokens + generated; }
  };

  int blocks_missing(const State& state, int tokens) const;
  void schedule_running();
  void admit_waiting();
  void preempt_last();
  void describe_batch();
  void schedule();
  void advance(int iterations);
  int decodes_at_once() const;
  double stretch_s(int iterations) const;

  const ServingProfile& profile_;
  bool memory_limited_;
  BlockPool pool_;
  std::deque<State> waiting_;
  std::vector<State> running_;
  int tokens_left_ = 0;
  bool preempted_ = false;
  int64_t preemptions_ = 0;
  Batch batch_;
  int stretch_ = 1;      ///< iterations of the stretch that has begun
  double first_s_ = 0;   ///< time of its first iteration
  double growth_s_ = 0;  ///< by which each further one takes longer
  Iteration iteration_;
};

}  // namespace berth::core
