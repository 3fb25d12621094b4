#include "core/scaling/serving/continuous_batching.h"

#include <algorithm>

namespace berth::core {

ContinuousBatching::ContinuousBatching(const ServingProfile& profile)
    : profile_(profile),
      memory_limited_(profile.limits.kv_blocks > 0),
      pool_(profile.limits.kv_blocks, profile.limits.prefix_caching) {}

void ContinuousBatching::submit(Sequence sequence, int prompt_tokens, int output_tokens) {
  waiting_.push_back(
      {.sequence = sequence, .prompt_tokens = prompt_tokens, .output_tokens = output_tokens});
}

double ContinuousBatching::kv_used() const {
  if (!memory_limited_) return 0;
  return 1 - static_cast<double>(pool_.free()) / profile_.limits.kv_blocks;
}

int ContinuousBatching::blocks_missing(const State& state, int tokens) const {
  if (!memory_limited_) return 0;
  const int block = profile_.limits.block_tokens;
  return (state.computed + tokens + block - 1) / block - state.blocks;
}

void ContinuousBatching::preempt_last() {
  State victim = running_.back();
  running_.pop_back();
  tokens_left_ += victim.scheduled;
  pool_.give_back(victim.sequence,
                  std::min(victim.blocks, victim.computed / profile_.limits.block_tokens),
                  victim.blocks);
  victim.computed = victim.blocks = victim.scheduled = 0;
  waiting_.push_front(victim);
  preempted_ = true;
  ++preemptions_;
}

void ContinuousBatching::schedule_running() {
  for (size_t i = 0; i < running_.size(); ++i) {
    const int tokens = std::min(running_[i].target() - running_[i].computed, tokens_left_);
    if (tokens <= 0) continue;
    while (i < running_.size() && blocks_missing(running_[i], tokens) > pool_.free())
      preempt_last();
    if (i == running_.size()) return;  // it was the youngest itself
    State& state = running_[i];
    const int missing = blocks_missing(state, tokens);
    if (missing > 0) pool_.take(missing), state.blocks += missing;
    state.scheduled = tokens;
    tokens_left_ -= tokens;
  }
}

void ContinuousBatching::admit_waiting() {
  const int block = profile_.limits.block_tokens;
  while (!waiting_.empty() && tokens_left_ > 0 &&
         static_cast<int>(running_.size()) < profile_.limits.max_sequences) {
    State& state = waiting_.front();
    if (memory_limited_ && (state.prompt_tokens + state.output_tokens + block - 1) / block >
                               profile_.limits.kv_blocks) {
      iteration_.refused.push_back(state.sequence);
      waiting_.pop_front();
      continue;
    }
    // At least the last token is computed anew: its output is needed.
    const int reusable = std::min(pool_.cached(state.sequence), (state.target() - 1) / block);
    const int tokens = std::min(state.target() - reusable * block, tokens_left_);
    const int missing =
        memory_limited_ ? (reusable * block + tokens + block - 1) / block - reusable : 0;
    // Cached blocks count as free, but taking them again leaves fewer for the rest.
    if (missing + reusable > pool_.free() && memory_limited_) return;
    pool_.reuse(state.sequence, reusable);
    if (missing > 0) pool_.take(missing);
    state.blocks = reusable + missing;
    state.computed = reusable * block;
    state.scheduled = tokens;
    tokens_left_ -= tokens;
    running_.push_back(state);
    waiting_.pop_front();
  }
}

void ContinuousBatching::describe_batch() {
  batch_.prompts.clear();
  batch_.decodes = 0;
  batch_.decode_context_sum = 0;
  batch_.decode_context_max = 0;
  for (const State& state : running_) {
    if (state.scheduled == 0) continue;
    const bool decode =
        state.generated > 0 && state.scheduled == 1 && state.computed == state.target() - 1;
    if (!decode) {
      batch_.prompts.push_back({state.scheduled, state.computed});
      continue;
    }
    ++batch_.decodes;
    batch_.decode_context_sum += state.computed + 1;
    batch_.decode_context_max = std::max(batch_.decode_context_max, state.computed + 1);
  }
}

void ContinuousBatching::schedule() {
  iteration_.first_token.clear();
  iteration_.finished.clear();
  iteration_.refused.clear();
  tokens_left_ = profile_.limits.max_batched_tokens;
  preempted_ = false;
  schedule_running();
  if (!preempted_) admit_waiting();
  describe_batch();
}

void ContinuousBatching::advance(int iterations) {
  size_t kept = 0;
  for (size_t i = 0; i < running_.size(); ++i) {
    State& state = running_[i];
    state.computed += state.scheduled;
    const bool produced = state.scheduled > 0 && state.computed == state.target();
    state.scheduled = 0;
    if (produced) {
      if (++state.generated == 1) iteration_.first_token.push_back(state.sequence);
      state.generated += iterations - 1;
      state.computed += iterations - 1;
      if (const int missing = blocks_missing(state, 0); missing > 0) {
        pool_.take(missing);
        state.blocks += missing;
      }
      if (state.generated == state.output_tokens) {
        iteration_.finished.push_back(state.sequence);
        pool_.give_back(state.sequence, 0, state.blocks);
        continue;
      }
    }
    if (kept != i) running_[kept] = state;
    ++kept;
  }
  running_.resize(kept, State{});
}

const ContinuousBatching::Iteration& ContinuousBatching::step() {
  schedule();
  iteration_.seconds = batch_.sequences() > 0 ? profile_.iteration_s(batch_) : 0;
  advance(1);
  return iteration_;
}

/// How many iterations will all be like the one that is scheduled: nobody joins, ends or runs out
/// of memory before the last one.
int ContinuousBatching::decodes_at_once() const {
  if (batch_.decodes == 0 || static_cast<size_t>(batch_.decodes) < running_.size()) return 1;
  if (preempted_ || (memory_limited_ && !waiting_.empty())) return 1;
  int least = running_[0].output_tokens - running_[0].generated;
  for (const State& state : running_)
    least = std::min(least, state.output_tokens - state.generated);
  if (!memory_limited_) return least;
  const int room = pool_.free() / batch_.decodes * profile_.limits.block_tokens;
  return std::clamp(room, 1, least);
}

double ContinuousBatching::stretch_s(int iterations) const {
  return iterations * (first_s_ + growth_s_ * (iterations - 1) / 2);
}

double ContinuousBatching::begin() {
  schedule();
  stretch_ = 1;
  growth_s_ = first_s_ = 0;
  if (batch_.sequences() == 0) return 0;
  first_s_ = profile_.iteration_s(batch_);
  stretch_ = decodes_at_once();
  if (stretch_ > 1) {
    Batch last = batch_;
    last.decode_context_sum += static_cast<int64_t>(batch_.decodes) * (stretch_ - 1);
    last.decode_context_max += stretch_ - 1;
    growth_s_ = (profile_.iteration_s(last) - first_s_) / (stretch_ - 1);
  }
  return stretch_s(stretch_);
}

double ContinuousBatching::cut(double elapsed_s) {
  int low = 1, high = stretch_;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (stretch_s(middle) >= elapsed_s)
      high = middle;
    else
      low = middle + 1;
  }
  stretch_ = low;
  return stretch_s(stretch_);
}

const ContinuousBatching::Iteration& ContinuousBatching::finish() {
  iteration_.seconds = batch_.sequences() > 0 ? stretch_s(stretch_) : 0;
  advance(stretch_);
  return iteration_;
}

}  // namespace berth::core
