#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/time.h"
#include "core/serving/tokens.h"

namespace berth::core {

/// A replica as routing sees it.
struct ReplicaLoad {
  uint64_t identity = 0;  ///< a hash of its address: the same after a restart of whoever asks
  bool ready = false;
  int in_flight = 0;
  int max_in_flight = 0;
  int64_t outstanding_work = 0;  ///< weighted tokens that its requests are expected to cost
  uint64_t last_chosen = 0;      ///< counts up with each choice; older ones win ties
  Time not_before = {};          ///< paced: its engine has prompts enough until then
};

/// Which replica serves a request now, as an index; nothing where none is ready and has room.
///
/// With a prefix (non-zero): the replica of the highest rendezvous hash (Thaler and Ravishankar
/// 1998), whose cache may hold the prefix, unless it has more than `kAffinityBound` times the mean
/// of requests in flight, this one included; then the next one by that hash ("Consistent hashing
/// with bounded loads", Mirrokni et al. 2018). Without: the least outstanding work, then the
/// fewest requests, then the one not chosen for longest.
inline constexpr double kAffinityBound = 1.25;
std::optional<size_t> choose_replica(std::span<const ReplicaLoad> replicas, uint64_t prefix,
                                     Time now);

/// Mixes two 64-bit values into one.
uint64_t mix(uint64_t a, uint64_t b);

}  // namespace berth::core
