#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "node/pod/pod_spec.h"
#include "objects/json.h"

namespace berth::node {

/// How one run of a container ended.
struct Termination {
  int exit_code = 0;
  std::string reason;  ///< Completed, Error, OOMKilled, StartError, ContainerStatusUnknown
  std::string message;
  Time started_at;
  Time finished_at;
  int attempt = 0;

  bool operator==(const Termination&) const = default;
};

/// Where a container is. Everything from kStarting on has an attempt that the runtime may know.
enum class Stage {
  kWaiting,   ///< not started, or to be started again after a back-off
  kPulling,   ///< its image is on the way
  kStarting,  ///< runc was asked to start it
  kRunning,
  kStopping,  ///< on its way out by Berth's wish
  kExited,    ///< for good, or until it is started again
};

/// What is remembered of one container, also over a restart of Berth.
struct ContainerRecord {
  std::string name;
  Stage stage = Stage::kWaiting;
  int attempt = 0;  ///< the restart count; of the current run, or the next one while waiting
  std::string waiting_reason = "ContainerCreating";
  std::string waiting_message;
  Time started_at;
  std::optional<Termination> ended;  ///< while kExited
  std::optional<Termination> last;   ///< of the run before the current one
  Duration backoff;                  ///< of the next restart; zero: at once
  Time retry_at;
  std::string image;
  std::string image_id;
  bool started = false;  ///< running, after hook and startup probe
  bool ready = false;
  ResourceAmounts requests;  ///< in force, which a resize changes
  ResourceAmounts limits;
};

/// Something of it may be running.
inline bool alive(const ContainerRecord& c) {
  return c.stage == Stage::kStarting || c.stage == Stage::kRunning || c.stage == Stage::kStopping;
}

struct ConditionRecord {
  bool status = false;
  Time since;
};

/// What is remembered of one pod: plain data, written to its folder at each change.
struct PodState {
  Time start_time;
  std::vector<std::string> ips;
  bool prepared = false;    ///< network, cgroup and volumes are there
  bool ended = false;       ///< the phase is final and nothing runs
  std::string fail_reason;  ///< why Berth ended it: Evicted, DeadlineExceeded, ...
  std::string fail_message;
  std::vector<ContainerRecord> init;
  std::vector<ContainerRecord> regular;
  std::map<std::string, ConditionRecord> conditions;

  ContainerRecord* find(std::string_view name);
};

/// The record of a pod that the node has just been given.
PodState new_record(const PodSpec& pod, Time now);

Json to_json(const PodState& record);
/// Fills a new record with what an earlier Berth wrote; unknown containers are ignored.
Result<PodState> record_from_json(const Json& json, const PodSpec& pod, Time now);

}  // namespace berth::node
