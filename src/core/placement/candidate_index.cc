#include "core/placement/candidate_index.h"

#include <algorithm>
#include <bit>

namespace berth::core {

ScoreTree::ScoreTree(uint32_t nodes)
    : leaves_(std::bit_ceil(std::max(nodes, 1u))), tree_(size_t{2} * leaves_, Scorer::kUnfit) {}

void ScoreTree::set(uint32_t node, int32_t score) {
  uint32_t at = leaves_ + node;
  if (tree_[at] == score) return;
  tree_[at] = score;
  while (at > 1) {
    const int32_t best = std::max(tree_[at], tree_[at ^ 1]);
    at /= 2;
    if (tree_[at] == best) return;
    tree_[at] = best;
  }
}

void ScoreTree::rebuild() {
  for (uint32_t at = leaves_ - 1; at >= 1; --at) {
    const size_t left = size_t{2} * at;
    tree_[at] = std::max(tree_[left], tree_[left + 1]);
  }
}

uint32_t ScoreTree::first_best() const {
  size_t at = 1;
  while (at < leaves_) at = tree_[2 * at] == tree_[at] ? 2 * at : 2 * at + 1;
  return static_cast<uint32_t>(at - leaves_);
}

std::optional<uint32_t> CandidateIndex::best(const Request& request) {
  const auto found = entries_.find(request);
  const bool is_new = found == entries_.end();
  Entry& entry =
      is_new ? entries_.emplace(request, Entry{ScoreTree(0), 0}).first->second : found->second;
  if (is_new || entry.seen < fleet_.oldest_change()) {
    entry.tree = ScoreTree(fleet_.size());
    for (uint32_t n = 0; n < fleet_.size(); ++n) entry.tree.set_leaf(n, rescore(n, request));
    entry.tree.rebuild();
    entry.seen = fleet_.changes();
  } else {
    refresh(entry, request);
  }
  if (entry.tree.best_score() == Scorer::kUnfit) return std::nullopt;
  return entry.tree.first_best();
}

void CandidateIndex::refresh(Entry& entry, const Request& request) {
  stamp_.resize(fleet_.size(), 0);
  ++refreshes_;
  for (uint64_t i = entry.seen; i < fleet_.changes(); ++i) {
    const uint32_t n = fleet_.changed(i);
    if (stamp_[n] == refreshes_) continue;
    stamp_[n] = refreshes_;
    entry.tree.set(n, rescore(n, request));
  }
  entry.seen = fleet_.changes();
}

size_t CandidateIndex::memory_bytes() const {
  size_t bytes = stamp_.capacity() * sizeof(uint64_t);
  for (const auto& [request, entry] : entries_) bytes += sizeof entry + entry.tree.memory_bytes();
  return bytes;
}

std::optional<uint32_t> best_by_scan(const Fleet& fleet, Scorer& scorer, const Request& request) {
  std::optional<uint32_t> best;
  int32_t best_score = Scorer::kUnfit;
  for (uint32_t n = 0; n < fleet.size(); ++n) {
    if (!fleet.fits(n, request)) continue;
    const int32_t score = scorer.score(fleet, n, request);
    if (!best || score > best_score) best = n, best_score = score;
  }
  return best;
}

}  // namespace berth::core
