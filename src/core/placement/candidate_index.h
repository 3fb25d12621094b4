#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/placement/fleet.h"
#include "core/placement/scorers/scorer.h"

namespace berth::core {

/// A complete binary tree over the nodes that keeps the highest score of each subtree, so that the
/// first node with the highest score is found in log(nodes) steps.
class ScoreTree {
 public:
  explicit ScoreTree(uint32_t nodes);
  void set(uint32_t node, int32_t score);
  /// Writes a leaf without mending the tree above it: `rebuild` follows.
  void set_leaf(uint32_t node, int32_t score) { tree_[leaves_ + node] = score; }
  void rebuild();
  int32_t best_score() const { return tree_[1]; }
  int32_t score(uint32_t node) const { return tree_[leaves_ + node]; }
  /// The first node that has `best_score()`.
  uint32_t first_best() const;
  size_t memory_bytes() const { return tree_.capacity() * sizeof(int32_t); }

 private:
  uint32_t leaves_ = 1;
  std::vector<int32_t> tree_;
};

/// The best node for each distinct request, kept between decisions: finding it rescores only the
/// nodes that changed since this request was last asked for. Gives exactly what a scan of all nodes
/// gives.
class CandidateIndex {
 public:
  /// Decides whether `request` may go to the node at all.
  using Admits = std::function<bool(uint32_t node, const Request&)>;

  /// `fleet` and `scorer` outlive the index.
  CandidateIndex(const Fleet& fleet, Scorer& scorer) : fleet_(fleet), scorer_(scorer) {}

  /// The first node with the highest score; none where the request fits nowhere.
  std::optional<uint32_t> best(const Request& request);
  size_t memory_bytes() const;

 private:
  struct Entry {
    ScoreTree tree;
    uint64_t seen;  ///< the fleet's changes that the tree knows
  };

  int32_t rescore(uint32_t node, const Request& request) {
    return fleet_.fits(node, request) ? scorer_.score(fleet_, node, request) : Scorer::kUnfit;
  }
  void refresh(Entry& entry, const Request& request);

  const Fleet& fleet_;
  Scorer& scorer_;
  std::unordered_map<Request, Entry> entries_;
  std::vector<uint64_t> stamp_;  ///< by node: the last refresh that rescored it
  uint64_t refreshes_ = 0;
};

/// The same answer from a scan of all nodes: the reference for tests and for the speed figures.
std::optional<uint32_t> best_by_scan(const Fleet& fleet, Scorer& scorer, const Request& request);

}  // namespace berth::core
