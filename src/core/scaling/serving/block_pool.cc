#include "core/scaling/serving/block_pool.h"

#include <algorithm>

namespace berth::core {

BlockPool::BlockPool(int blocks, bool prefix_caching)
    : prefix_caching_(prefix_caching), free_(blocks) {
  groups_[0] = {0, false, blocks};
}

void BlockPool::take(int count) {
  free_ -= count;
  while (count > 0) {
    const auto first = groups_.begin();
    const int taken = std::min(first->second.count, count);
    first->second.count -= taken;
    count -= taken;
    if (first->second.count > 0) continue;
    if (first->second.cached) cached_group_.erase(first->second.sequence);
    groups_.erase(first);
  }
}

void BlockPool::give_back(Sequence sequence, int filled, int count) {
  free_ += count;
  const int kept = prefix_caching_ ? filled : 0;
  if (count > kept) groups_[++last_group_] = {0, false, count - kept};
  if (kept > 0) {
    groups_[++last_group_] = {sequence, true, kept};
    cached_group_[sequence] = last_group_;
  }
}

int BlockPool::cached(Sequence sequence) const {
  const auto found = cached_group_.find(sequence);
  return found == cached_group_.end() ? 0 : groups_.at(found->second).count;
}

void BlockPool::reuse(Sequence sequence, int count) {
  if (count == 0) return;
  const auto found = cached_group_.find(sequence);
  Group& group = groups_.at(found->second);
  free_ -= count;
  group.count -= count;
  group.cached = false;
  if (group.count == 0) groups_.erase(found->second);
  cached_group_.erase(found);
}

}  // namespace berth::core
