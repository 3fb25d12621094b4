#include "simulation/fleet/replica_pool.h"

#include <algorithm>

namespace berth::simulation {

ReplicaPool::ReplicaPool(const core::ServingProfile& profile, double length_s, double count_from_s)
    : profile_(profile),
      count_from_s_(count_from_s),
      held_by_minute_(static_cast<size_t>(length_s / 60) + 1) {}

uint32_t ReplicaPool::order(double now_s) {
  auto replica = std::make_unique<Replica>(profile_);
  replica->ordered_s = now_s;
  if (now_s >= count_from_s_) ++orders_;
  const auto free = std::find(replicas_.begin(), replicas_.end(), nullptr);
  const auto slot = static_cast<uint32_t>(free - replicas_.begin());
  if (free == replicas_.end())
    replicas_.push_back(std::move(replica));
  else
    *free = std::move(replica);
  return slot;
}

void ReplicaPool::release(uint32_t slot, double now_s) {
  const double from_s = replicas_[slot]->ordered_s;
  device_s_ += std::max(0.0, now_s - std::max(from_s, count_from_s_));
  for (auto minute = static_cast<size_t>(from_s / 60);
       minute < held_by_minute_.size() && static_cast<double>(minute) * 60 < now_s; ++minute) {
    const double start_s = static_cast<double>(minute) * 60;
    held_by_minute_[minute] += (std::min(now_s, start_s + 60) - std::max(from_s, start_s)) / 60;
  }
  replicas_[slot].reset();
}

void ReplicaPool::release_all(double now_s) {
  for (uint32_t slot = 0; slot < replicas_.size(); ++slot)
    if (replicas_[slot] != nullptr) release(slot, now_s);
}

int ReplicaPool::count(Replica::State state) const {
  return static_cast<int>(std::count_if(
      replicas_.begin(), replicas_.end(),
      [&](const auto& replica) { return replica != nullptr && replica->state == state; }));
}

Replica* ReplicaPool::to_take_back() {
  Replica* best = nullptr;
  for (const auto& each : replicas_)
    if (each != nullptr && each->state == Replica::State::kDraining &&
        (best == nullptr || each->in_flight > best->in_flight))
      best = each.get();
  return best;
}

int64_t ReplicaPool::to_give_up() const {
  int64_t victim = -1;
  for (uint32_t slot = 0; slot < replicas_.size(); ++slot) {
    const Replica* each = replicas_[slot].get();
    if (each == nullptr || each->state == Replica::State::kDraining) continue;
    const bool starting = each->state == Replica::State::kStarting;
    const Replica* other = victim < 0 ? nullptr : replicas_[static_cast<size_t>(victim)].get();
    const bool other_starting = other != nullptr && other->state == Replica::State::kStarting;
    const bool better = other == nullptr || (starting && !other_starting) ||
                        (starting && each->ordered_s >= other->ordered_s) ||
                        (!starting && !other_starting && each->in_flight < other->in_flight);
    if (better) victim = slot;
  }
  return victim;
}

}  // namespace berth::simulation
