#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

namespace berth::core {

/// The KV-cache blocks of an engine as paged attention keeps them: free blocks are taken in the
/// order in which they were freed, a sequence's last block first, so what is left of a preempted
/// sequence is its beginning, and need not be computed again.
class BlockPool {
 public:
  using Sequence = uint32_t;

  BlockPool(int blocks, bool prefix_caching);

  int free() const { return free_; }
  /// Needs `count <= free()`.
  void take(int count);
  /// Gives back `count` blocks of which the first `filled` hold computed tokens of `sequence`.
  void give_back(Sequence sequence, int filled, int count);
  /// How many blocks from the beginning of `sequence` are free but still hold its tokens.
  int cached(Sequence sequence) const;
  /// Takes that many of them again; needs `count <= cached(sequence)`.
  void reuse(Sequence sequence, int count);

 private:
  struct Group {
    Sequence sequence;
    bool cached;
    int count;
  };

  bool prefix_caching_;
  int free_;
  uint64_t last_group_ = 0;
  std::map<uint64_t, Group> groups_;  ///< in the order of reuse
  std::unordered_map<Sequence, uint64_t> cached_group_;
};

}  // namespace berth::core
