// How gangs are declared, join their queues, and are forgotten.

#include <algorithm>

#include "core/model/slots.h"
#include "core/model/undo.h"

namespace berth::core {

GangId State::ensure_gang(std::string_view name) {
  if (const GangId known = find_gang(name); known.valid()) return known;
  const GangId id = take_slot(gangs_, free_gangs_);
  open_gangs_.resize((gangs_.size() + 63) / 64, 0);
  Gang& gang = gangs_[id.index()];
  gang.name = name;
  gang.alive = true;
  gang.min = gang.max = kUndeclared;
  gang.sequence = next_sequence_++;
  gang_ids_.insert(name, id);
  return id;
}

void State::free_gang_if_unused(GangId id) {
  Gang& gang = gangs_[id.index()];
  if (gang.declared || !gang.tasks.empty()) return;
  drop_claim(id);
  move_gang(id, QueueId{});
  gang_ids_.erase(gang.name, id);
  gang = Gang{};
  review(id);
  free_gangs_.push_back(id);
}

void State::move_gang(GangId id, QueueId to) {
  Gang& gang = gangs_[id.index()];
  if (gang.queue == to) return;
  const auto claim = std::find_if(claims_.begin(), claims_.end(),
                                  [&](const HeldClaim& c) { return c.gang == id; });
  if (claim != claims_.end()) apply_claim(*claim, -1);
  for (TaskId task : gang.tasks) detach(task);
  if (gang.queue.valid()) {
    std::vector<GangId>& list = queues_[gang.queue.index()].gangs;
    list.erase(std::lower_bound(list.begin(), list.end(), id));
  }
  gang.queue = to;
  if (to.valid()) {
    std::vector<GangId>& list = queues_[to.index()].gangs;
    list.insert(std::lower_bound(list.begin(), list.end(), id), id);
  }
  for (TaskId task : gang.tasks) attach(task);
  if (claim != claims_.end()) apply_claim(*claim, +1);
}

void State::join_queue(GangId id, std::string_view name) {
  gangs_[id.index()].wanted_queue = name.empty() ? NameId{} : names_.intern(name);
  move_gang(id, queue_for(name));
}

void State::on(const GangUpsert& event) {
  const GangId id = ensure_gang(event.name);
  Gang& gang = gangs_[id.index()];
  gang.declared = true;
  gang.priority = event.priority;
  gang.min = std::max(1u, event.min);
  gang.max = std::max(gang.min, event.max);
  gang.topology_key = event.topology_key.empty() ? NameId{} : names_.intern(event.topology_key);
  gang.topology_required = event.topology_required;
  gang.created = event.created;
  gang.deadline = event.timeout.ns > 0 ? event.created + event.timeout : Time{};
  join_queue(id, event.queue);
  review(id);
}

void State::on(const GangRemove& event) {
  const GangId id = find_gang(event.name);
  if (!id.valid()) return;
  gangs_[id.index()].declared = false;
  gangs_[id.index()].min = kUndeclared;
  gangs_[id.index()].intent.clear();
  review(id);
  drop_claim(id);
  free_gang_if_unused(id);
}

}  // namespace berth::core
