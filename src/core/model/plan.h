#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"

namespace berth::core {

/// One task's place, by name.
struct PlaceSpec {
  std::string task{};
  std::string node{};
  std::vector<std::string> devices{};  ///< device ids, ascending by their index on the node
  bool operator==(const PlaceSpec&) const = default;
};

enum class EvictReason : uint8_t {
  kPriority,        ///< a gang of higher priority in the same queue
  kReclaim,         ///< borrowed, and its owner asks
  kBackfill,        ///< ran on reserved devices, and the holder starts
  kGangIncomplete,  ///< its gang did not become whole in time
  kGangBroken,      ///< its gang lost members and they were not replaced in time
  kConsolidation,   ///< moves, so that a blocked gang can start
  kNodeGone,        ///< its node is no longer there
  kOversubscribed,  ///< the node has fewer devices than it gave out
  kBudget,          ///< its queue's budget is spent
  kTurn,            ///< its turn is over, and another of its queue has the next
};
std::string_view to_string(EvictReason reason);

// Actions are also events: control applies the plan that it carries out.

struct Bind {
  PlaceSpec place{};
  bool backfilled = false;
  bool operator==(const Bind&) const = default;
};
struct Evict {
  std::string task{};
  EvictReason reason = EvictReason::kPriority;
  std::string beneficiary{};  ///< the gang that it yields to; may be empty
  bool operator==(const Evict&) const = default;
};
/// To be durable before the first Bind of the gang is sent.
struct PersistIntent {
  std::string gang{};
  uint64_t plan = 0;
  std::vector<PlaceSpec> members{};
  bool operator==(const PersistIntent&) const = default;
};
struct ClearIntent {
  std::string gang{};
  bool operator==(const ClearIntent&) const = default;
};
/// Devices being vacated (`reservation == false`) or to be waited for, kept for one gang.
struct Claim {
  std::string gang{};
  bool reservation = false;
  std::vector<PlaceSpec> members{};
  Time expires{};               ///< a claim's end
  std::optional<Time> start{};  ///< a reservation's expected start, where it is known
  bool operator==(const Claim&) const = default;
};
struct Unclaim {
  std::string gang{};
  bool operator==(const Unclaim&) const = default;
};
/// Since when an entitled gang waits, which bounds its victims' protection; none: it no longer
/// does.
struct MarkBlocked {
  std::string gang{};
  std::optional<Time> since{};
  bool operator==(const MarkBlocked&) const = default;
};
/// Since when a running gang is below its minimum; none: it is whole again.
struct MarkBroken {
  std::string gang{};
  std::optional<Time> since{};
  bool operator==(const MarkBroken&) const = default;
};
/// Turns are given now, and not again before a round has passed.
struct BeginRound {
  Time at{};
  bool operator==(const BeginRound&) const = default;
};
using Action = std::variant<Bind, Evict, PersistIntent, ClearIntent, Claim, Unclaim, MarkBlocked,
                            MarkBroken, BeginRound>;

/// Why a task or gang waits. One gang can have several.
enum class ReasonCode : uint8_t {
  kNever,             ///< no node could hold it even if empty
  kNoNodes,           ///< there are no nodes at all
  kInsufficient,      ///< nodes that could hold it are full
  kGangIncomplete,    ///< fewer tasks exist than its minimum
  kGated,             ///< scheduling gates
  kQueueMissing,      ///< names a queue that does not exist, or that is not a leaf
  kQueueLimit,        ///< would take a queue above its limit
  kNotGuaranteed,     ///< not preemptible, and not inside a guarantee that is set
  kClaimed,           ///< waits for devices that are being vacated for it
  kReserved,          ///< has the queue's reservation
  kBehind,            ///< others are before it, or hold claims on what it could use
  kProtected,         ///< it may take devices back once their holders' protection ends
  kDisruptionBudget,  ///< a disruption budget delays the devices that it claimed
  kBudget,            ///< the budget of its queue, or of one above, is spent
  kGrowth,            ///< beyond its service's minimum: what is worth more comes first
  kTurn,              ///< it takes turns with others of its queue
};
std::string_view to_string(ReasonCode code);

/// Which constraint said no. Each node counts once, under the first that rejects it.
enum class Constraint : uint8_t {
  kNotReady,
  kUnschedulable,
  kTaint,
  kNodeSelector,
  kNodeAffinity,
  kTaskAffinity,
  kSpread,
  kHostPort,
  kTopology,
  kDeviceModel,
  kDeviceBusy,  ///< enough devices, but held by foreign processes or unhealthy
  kDevices,
  kDeviceMemory,
  kExtendedResource,
  kCpu,
  kMemory,
  kEphemeralStorage,
  kPods,
  kClaimed,  ///< room, but it is claimed or reserved for others
  kCount
};
std::string_view to_string(Constraint constraint);

/// Nodes rejected by each constraint.
struct Rejections {
  std::array<uint32_t, static_cast<size_t>(Constraint::kCount)> nodes{};
  uint32_t total = 0;  ///< nodes looked at

  uint32_t& operator[](Constraint c) { return nodes[static_cast<size_t>(c)]; }
  uint32_t operator[](Constraint c) const { return nodes[static_cast<size_t>(c)]; }
  bool operator==(const Rejections&) const = default;
};

/// What Kubernetes users know: `0/3 nodes are available: 2 lack nvidia.com/gpu, 1 is tainted`.
std::string describe(const Rejections& rejections);

struct Reason {
  ReasonCode code = ReasonCode::kInsufficient;
  std::string text{};
  bool operator==(const Reason&) const = default;
};

/// A gang that waits after this cycle.
struct Waiting {
  std::string gang{};
  std::vector<Reason> reasons{};
  Rejections rejections{};  ///< for the member that did not fit, where placement was tried
  uint32_t placeable = 0;   ///< members that did fit
  uint32_t position = 0;    ///< in the order of its queue, from 1
  bool operator==(const Waiting&) const = default;
};

struct Plan {
  uint64_t id = 0;
  std::vector<Action> actions{};
  std::vector<Waiting> waiting{};
  /// When to decide again although nothing happened: a claim expires, a protection ends.
  std::optional<Time> next_wakeup{};
  bool operator==(const Plan&) const = default;
};

}  // namespace berth::core
