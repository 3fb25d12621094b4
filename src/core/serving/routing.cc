#include "core/serving/routing.h"

#include <cmath>
#include <tuple>

namespace berth::core {
namespace {

bool has_room(const ReplicaLoad& replica, Time now) {
  return replica.ready && replica.in_flight < replica.max_in_flight && replica.not_before <= now;
}

std::optional<size_t> by_prefix(std::span<const ReplicaLoad> replicas, uint64_t prefix, Time now) {
  int ready = 0;
  int in_flight = 0;
  for (const ReplicaLoad& replica : replicas) {
    if (!replica.ready) continue;
    ++ready;
    in_flight += replica.in_flight;
  }
  if (ready == 0) return std::nullopt;
  const auto bound = static_cast<int>(std::ceil(kAffinityBound * (in_flight + 1) / ready));
  std::optional<size_t> best;
  uint64_t best_hash = 0;
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (!has_room(replicas[i], now) || replicas[i].in_flight >= bound) continue;
    const uint64_t hash = mix(prefix, replicas[i].identity);
    if (!best || hash > best_hash) {
      best = i;
      best_hash = hash;
    }
  }
  return best;
}

}  // namespace

uint64_t mix(uint64_t a, uint64_t b) {
  // The finaliser of splitmix64 over both.
  uint64_t x = a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2));
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::optional<size_t> choose_replica(std::span<const ReplicaLoad> replicas, uint64_t prefix,
                                     Time now) {
  if (prefix != 0)
    if (const auto chosen = by_prefix(replicas, prefix, now)) return chosen;
  std::optional<size_t> best;
  const auto key = [&](size_t i) {
    const ReplicaLoad& replica = replicas[i];
    return std::tuple(replica.outstanding_work, replica.in_flight, replica.last_chosen);
  };
  for (size_t i = 0; i < replicas.size(); ++i)
    if (has_room(replicas[i], now) && (!best || key(i) < key(*best))) best = i;
  return best;
}

}  // namespace berth::core
