// How queues come, change and go, and what tree they make.

#include <algorithm>

#include "core/model/slots.h"
#include "core/model/undo.h"

namespace berth::core {

void State::on(const QueueUpsert& event) {
  QueueId id = find_queue(event.name);
  if (!id.valid()) {
    id = take_slot(queues_, free_queues_);
    queue_ids_.insert(event.name, id);
    wanted_parents_.resize(queues_.size());
  }
  Queue& queue = queues_[id.index()];
  queue.name = event.name;
  queue.alive = true;
  queue.weight_milli = std::max<int64_t>(1, event.weight_milli);
  const auto quota = [&](const QuotaSpec& spec) {
    Quota kept{spec.cpu_milli, spec.memory_bytes, {}};
    for (const auto& row : spec.accelerators)
      kept.accelerators.push_back({names_.intern(row.key), row.milli, 0});
    return kept;
  };
  queue.guaranteed = quota(event.guaranteed);
  queue.limit = quota(event.limit);
  queue.reclaim = event.reclaim;
  queue.times = event.times;
  queue.budget = event.budget;
  wanted_parents_[id.index()] = event.parent;
  link_queues();
  refresh_masks();
}

void State::on(const QueueRemove& event) {
  const QueueId id = find_queue(event.name);
  if (!id.valid()) return;
  queue_ids_.erase(event.name, id);
  queues_[id.index()].alive = false;
  wanted_parents_[id.index()].clear();
  link_queues();
  queues_[id.index()] = Queue{};
  free_queues_.push_back(id);
}

QueueId State::queue_for(std::string_view name) const {
  const QueueId id = find_queue(name);
  return id.valid() && queues_[id.index()].children.empty() ? id : QueueId{};
}

// Rebuilds the tree and puts every gang into the queue that it wants. Queues change rarely.
void State::link_queues() {
  std::vector<GangId> gangs;
  for (size_t i = 0; i < gangs_.size(); ++i)
    if (gangs_[i].alive) {
      gangs.push_back(GangId{static_cast<uint32_t>(i)});
      move_gang(gangs.back(), QueueId{});
    }
  for (Queue& queue : queues_) {
    queue.parent = {};
    queue.depth = 0;
    queue.children.clear();
  }
  for (size_t i = 0; i < queues_.size(); ++i)
    if (queues_[i].alive) queues_[i].parent = find_queue(wanted_parents_[i]);
  for (size_t i = 0; i < queues_.size(); ++i) {
    // A cycle is broken at the queue that is looked at first: it counts as a root.
    QueueId at = queues_[i].parent;
    uint32_t depth = 0;
    while (at.valid() && at.index() != i && depth <= queues_.size()) {
      at = queues_[at.index()].parent;
      ++depth;
    }
    if (at.valid()) queues_[i].parent = {};
  }
  for (size_t i = 0; i < queues_.size(); ++i) {
    const QueueId id{static_cast<uint32_t>(i)};
    for (QueueId at = queues_[i].parent; at.valid(); at = queues_[at.index()].parent)
      ++queues_[i].depth;
    if (queues_[i].parent.valid()) queues_[queues_[i].parent.index()].children.push_back(id);
  }
  for (Queue& queue : queues_)
    std::sort(queue.children.begin(), queue.children.end(), [&](QueueId a, QueueId b) {
      return queues_[a.index()].name < queues_[b.index()].name;
    });
  for (GangId gang : gangs)
    move_gang(gang, queue_for(names_.text(gangs_[gang.index()].wanted_queue)));
}

void State::refresh_masks() {
  const auto refresh = [&](Quota& quota) {
    for (auto& row : quota.accelerators) {
      row.mask = 0;
      const std::string_view key = names_.text(row.key);
      for (size_t i = 0; i < accelerators_.size(); ++i) {
        bool member = key == "*";
        for (size_t from = 0; !member && from <= key.size();) {
          const size_t bar = std::min(key.find('|', from), key.size());
          const std::string_view part = key.substr(from, bar - from);
          member = part == names_.text(accelerators_[i].name) ||
                   part == names_.text(accelerators_[i].resource);
          from = bar + 1;
        }
        if (member) row.mask |= AcceleratorMask{1} << i;
      }
    }
  };
  for (Queue& queue : queues_) {
    refresh(queue.guaranteed);
    refresh(queue.limit);
  }
}

}  // namespace berth::core
