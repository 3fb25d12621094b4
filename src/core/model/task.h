#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "core/model/ids.h"

namespace berth::core {

enum class TaskPhase : uint8_t {
  kPending,    ///< wants a place
  kAssumed,    ///< a plan gave it one; the binding is on its way
  kBound,      ///< the binding is durable
  kRunning,    ///< its processes run
  kReleasing,  ///< told to stop; holds its place until it is gone
  kGone,       ///< a free slot
};

/// A pod that control decides about, or one that only takes up room (`managed == false`).
struct Task {
  std::string name{};  ///< `namespace/pod`, unique while it exists
  TaskPhase phase = TaskPhase::kGone;
  bool managed = true;
  bool gated = false;  ///< has scheduling gates: not to be placed yet
  bool preemptible = true;
  bool restartable = false;
  bool backfilled = false;  ///< started on devices that were reserved for another gang
  int32_t priority = 0;
  ShapeId shape{};
  GangId gang{};  ///< a task on its own is a gang of one; none where not managed
  NodeId node{};  ///< valid from kAssumed to kReleasing
  LabelSetId labels{};
  NameId ns{};
  NameId owner{};
  DeviceSet devices = 0;                ///< of `node`, where it names its devices
  AcceleratorId charged_accelerator{};  ///< the kind that it is charged for, while it holds devices
  uint32_t charged_milli = 0;           ///< thousandths of devices that it is charged for
  uint64_t sequence = 0;                ///< order of arrival, never reused
  Time created{};
  Time started{};                          ///< since when it holds its place
  Time release_by{};                       ///< kReleasing: when its grace ends
  Time last_checkpoint{};                  ///< 0: none seen
  Duration expected_duration{};            ///< 0: not known
  Duration grace = Duration::seconds(30);  ///< from being told to stop to being killed
  std::string released_for{};              ///< kReleasing: the gang that it yields to; may be empty

  bool holds_place() const { return phase >= TaskPhase::kAssumed && phase < TaskPhase::kGone; }
};

/// Where a task could go, or is to go.
struct Placement {
  TaskId task{};
  NodeId node{};
  DeviceSet devices = 0;
  bool operator==(const Placement&) const = default;
};

/// The minimum of a gang that tasks name and nobody declared yet.
inline constexpr uint32_t kUndeclared = UINT32_MAX;

/// What a task is worth that is no growth of a service.
inline constexpr int64_t kNotGrowth = -1;

/// Tasks that start together, all or nothing. A task without a gang of its own is one of size one.
struct Gang {
  std::string name{};  ///< `namespace/group`, or the task's own name
  bool alive = false;
  /// A PodGroup or Job declared it, so it outlives its tasks. Until then a named gang waits.
  bool declared = false;
  QueueId queue{};
  NameId wanted_queue{};  ///< that it names; it may come later, and another stands in until then
  int32_t priority = 0;   ///< of the whole; its tasks' where nothing else is said
  uint32_t min = 1;       ///< all or nothing up to here
  uint32_t max = 1;       ///< growth up to here, one task at a time
  /// Of a task on its own that is a replica beyond its service's minimum: the objective misses that
  /// it avoids, in millionths a device-second.
  int64_t growth_micro = kNotGrowth;
  NameId topology_key{};  ///< all members in one domain of this label; may be none
  bool topology_required = false;
  Time created{};          ///< its age counts from here, also after a preemption
  Time blocked{};          ///< since when it is entitled and waits; 0: it does not
  Time deadline{};         ///< its tasks wait no longer than this for the rest; 0: none
  Time below_min_since{};  ///< a running gang that lost members; 0: it is whole
  uint64_t sequence = 0;
  std::vector<TaskId> tasks{};  ///< sorted by sequence
  uint32_t waiting = 0;         ///< of its tasks: kPending and not gated
  uint32_t gated = 0;           ///< kPending and gated
  uint32_t running = 0;         ///< hold a place that they may keep: kAssumed to kRunning
  /// What was persisted before the first bind and is not yet carried out: empty once it is.
  std::vector<Placement> intent{};
  uint64_t plan = 0;  ///< the id of the plan that the intent belongs to

  bool is_growth() const { return growth_micro != kNotGrowth; }

  /// Is there anything about it to decide? Else it runs with all it has, or is not there.
  bool open() const {
    const bool short_of_members = declared && running > 0 && running < min;
    return alive &&
           (waiting + gated > 0 || !intent.empty() || below_min_since.ns != 0 || short_of_members);
  }
};

}  // namespace berth::core
