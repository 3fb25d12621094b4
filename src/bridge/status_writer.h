#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "bridge/api_calls.h"
#include "bridge/pod_events.h"
#include "core/model/plan.h"
#include "core/model/state.h"
#include "core/sharing/entitlement.h"

namespace berth::bridge {

/// Tells users what control knows: why pods wait (the condition `PodScheduled`, and an Event when
/// the kind of reason changes), and what queues use. Writes only what changed; a pod's message at
/// most every 5 s after the first. Lives on the loop's thread.
class StatusWriter {
 public:
  StatusWriter(client::ApiClient& client, const Clock& clock) : client_(client), clock_(clock) {}

  /// A gang's tasks wait. `pod` gives a task's pod; `delayed` why the stop of what it waits for is
  /// held up, or nothing.
  void waiting(const core::State& state, const core::Plan& plan,
               const std::function<std::optional<PodRef>(const std::string&)>& pod,
               const std::function<std::string(const std::string&)>& delayed);
  /// A pod that cannot be scheduled as it is written.
  void refused(const PodRef& pod, const std::string& why);
  void forget(const std::string& task) { told_.erase(task); }

  /// How long to leave queues alone after this.
  Duration queues(const core::State& state);
  /// When `waiting` held back something newer; nothing when it did not.
  std::optional<Time> due() const { return due_; }

 private:
  struct Told {
    std::string message;
    std::string codes;
    Time at;
  };
  /// What each queue's status keeps of how long work took, where that changed.
  void collect_durations(const core::DurationMemory& durations);
  void tell(const std::string& task, const PodRef& pod, bool gated, const std::string& codes,
            const std::string& message);

  client::ApiClient& client_;
  const Clock& clock_;
  std::map<std::string, Told, std::less<>> told_;
  std::map<std::string, std::string> queue_status_;
  /// What was last told of a queue's past use.
  struct PastUse {
    int64_t amount = 0;
    Time as_of;
  };
  std::map<std::string, PastUse> past_use_;
  std::map<std::string, JsonArray> durations_;  // by queue
  uint64_t durations_version_ = 0;
  std::optional<Time> due_;
};

}  // namespace berth::bridge
