#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace berth::core {

/// A model that shares a device with others by swapping.
struct SwapModel {
  enum class State { kUnloaded, kLoading, kLoaded, kUnloading };

  State state = State::kUnloaded;
  int64_t memory_bytes = 0;  ///< weights and cache, while it is there
  Duration load_time = {};
  int priority = 0;
  bool pinned = false;  ///< never evicted
  Time loaded_since = {};
  Time last_used = {};
  int64_t waiting = 0;  ///< requests
  int64_t in_flight = 0;
  Time oldest_waiting = {};  ///< where any waits
};

struct SwapOptions {
  int64_t device_bytes = 0;
  Duration min_residence = Duration::seconds(5);
  /// A busy model stays for at least this many of its load times.
  int64_t residence_loads = 4;
  /// Whoever waited for this long may take from a busy model of its own priority.
  Duration starvation_limit = Duration::seconds(30);
};

enum class SwapReason {
  kNothingWaits,
  kLoadUnderWay,  ///< one load or unload at a time
  kFits,
  kEvicts,
  kProtected,  ///< what would have to go has not been there for long enough, or is in more demand
  kPinned,     ///< what would have to go is pinned or of a higher priority and busy
  kTooLarge,   ///< larger than the device without what is pinned
};
std::string_view to_string(SwapReason reason);

struct SwapPlan {
  SwapReason reason = SwapReason::kNothingWaits;
  std::optional<size_t> load = {};    ///< start it once what is evicted is gone
  std::vector<size_t> evict = {};     ///< take no new requests, finish those in flight, unload
  std::optional<Time> next_try = {};  ///< when waiting alone may change the answer
};

/// Which model to load next, and which to evict for it. Indexes are those of `models`.
///
/// The model that loads is, among those that wait: the highest priority, then one whose oldest
/// request has waited beyond the starvation limit (oldest first), then the most waiting requests.
/// A model may be evicted when it is not pinned, has stayed (idle: its load time; busy:
/// `residence_loads` of it; both at least `min_residence`), and is
/// - idle, or of a lower priority, or
/// - of the same priority, and in less than half as much demand, or the other is starved.
/// Evicted first: lower priority, idle, less demand, quicker to load again, longer unused.
/// Then whatever turns out not to be needed is spared.
SwapPlan plan_swap(std::span<const SwapModel> models, const SwapOptions& options, Time now);

}  // namespace berth::core
