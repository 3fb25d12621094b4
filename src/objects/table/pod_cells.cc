#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "base/quantity.h"
#include "objects/table/cells.h"

// What kubectl shows of a pod; source: printPod in
// k8s.io/kubernetes/pkg/printers/internalversion/printers.go.

namespace berth::objects {
namespace {

bool has_true_condition(const Json& pod, std::string_view type) {
  return std::ranges::any_of(find_array(pod, {"status", "conditions"}), [type](const Json& c) {
    return find_string(c, {"type"}) == type && find_string(c, {"status"}) == "True";
  });
}

bool is_sidecar(const Json& pod, std::string_view name) {
  return std::ranges::any_of(find_array(pod, {"spec", "initContainers"}),
                             [name](const Json& container) {
                               return find_string(container, {"name"}) == name &&
                                      find_string(container, {"restartPolicy"}) == "Always";
                             });
}

const Json* terminated(const Json& status) {
  return find(status, {"state", "terminated"});
}

/// "Error", "ExitCode:3" or "Signal:9".
std::string end_reason(const Json& state) {
  if (const auto reason = find_string(state, {"reason"}); !reason.empty())
    return std::string(reason);
  if (const int64_t signal = find_int(state, {"signal"}); signal != 0)
    return fmt::format("Signal:{}", signal);
  return fmt::format("ExitCode:{}", find_int(state, {"exitCode"}));
}

/// One pass over a pod's containers, which gives all that kubectl shows of them.
class PodSummary {
 public:
  explicit PodSummary(const Json& pod) : pod_(pod) {
    reason_ = find_string(pod, {"status", "phase"});
    if (const auto reason = find_string(pod, {"status", "reason"}); !reason.empty())
      reason_ = reason;
    for (const Json& condition : find_array(pod, {"status", "conditions"}))
      if (find_string(condition, {"type"}) == "PodScheduled" &&
          find_string(condition, {"reason"}) == "SchedulingGated")
        reason_ = "SchedulingGated";
    total_ = find_array(pod, {"spec", "containers"}).size();
    for (const Json& container : find_array(pod, {"spec", "initContainers"}))
      total_ += find_string(container, {"restartPolicy"}) == "Always" ? 1 : 0;
    const bool initializing = read_init_containers();
    if (!initializing || has_true_condition(pod, "Initialized")) read_containers();
    read_deletion();
  }

  std::string ready() const { return fmt::format("{}/{}", ready_, total_); }
  const std::string& reason() const { return reason_; }
  std::string restarts(Time now) const {
    const auto last = parse_time(last_restart_);
    if (restarts_ == 0 || !last) return fmt::format("{}", restarts_);
    return fmt::format("{} ({} ago)", restarts_, format_age(now - *last));
  }

 private:
  void count_restarts(const Json& status) {
    restarts_ += find_int(status, {"restartCount"});
    // RFC 3339 in UTC sorts as text.
    last_restart_ =
        std::max(last_restart_, find_string(status, {"lastState", "terminated", "finishedAt"}));
  }

  /// Gives whether an init container is still to finish; then `reason_` says how far they are.
  bool read_init_containers() {
    const JsonArray& statuses = find_array(pod_, {"status", "initContainerStatuses"});
    for (size_t i = 0; i < statuses.size(); ++i) {
      const Json& status = statuses[i];
      const bool sidecar = is_sidecar(pod_, find_string(status, {"name"}));
      count_restarts(status);
      if (sidecar) {
        sidecar_restarts_ += find_int(status, {"restartCount"});
        last_sidecar_restart_ = std::max(
            last_sidecar_restart_, find_string(status, {"lastState", "terminated", "finishedAt"}));
      }
      const Json* end = terminated(status);
      if (end != nullptr && find_int(*end, {"exitCode"}) == 0) continue;
      if (sidecar && find_bool(status, {"started"})) {
        ready_ += find_bool(status, {"ready"}) ? 1 : 0;
        continue;
      }
      const std::string_view waiting = find_string(status, {"state", "waiting", "reason"});
      if (end != nullptr) {
        reason_ = "Init:" + end_reason(*end);
      } else if (!waiting.empty() && waiting != "PodInitializing") {
        reason_ = "Init:" + std::string(waiting);
      } else {
        reason_ = fmt::format("Init:{}/{}", i, find_array(pod_, {"spec", "initContainers"}).size());
      }
      return true;
    }
    return false;
  }

  void read_containers() {
    restarts_ = sidecar_restarts_;
    last_restart_ = last_sidecar_restart_;
    bool running = false;
    std::string error;
    const JsonArray& statuses = find_array(pod_, {"status", "containerStatuses"});
    for (size_t i = statuses.size(); i-- > 0;) {
      const Json& status = statuses[i];
      count_restarts(status);
      const std::string_view waiting = find_string(status, {"state", "waiting", "reason"});
      if (!waiting.empty()) {
        reason_ = waiting;
      } else if (const Json* end = terminated(status)) {
        reason_ = end_reason(*end);
        if (find_int(*end, {"exitCode"}) != 0) error = reason_;
      } else if (find_bool(status, {"ready"}) && find(status, {"state", "running"}) != nullptr) {
        running = true;
        ++ready_;
      }
    }
    if (reason_ != "Completed") return;
    if (running && has_true_condition(pod_, "Ready")) {
      reason_ = "Running";
    } else if (!error.empty()) {
      reason_ = error;
    } else if (running) {
      reason_ = "NotReady";
    }
  }

  void read_deletion() {
    if (find_string(pod_, {"metadata", "deletionTimestamp"}).empty()) return;
    const std::string_view phase = find_string(pod_, {"status", "phase"});
    if (find_string(pod_, {"status", "reason"}) == "NodeLost") {
      reason_ = "Unknown";
    } else if (phase != "Succeeded" && phase != "Failed") {
      reason_ = "Terminating";
    }
  }

  const Json& pod_;
  std::string reason_;
  size_t ready_ = 0, total_ = 0;
  int64_t restarts_ = 0, sidecar_restarts_ = 0;
  std::string_view last_restart_, last_sidecar_restart_;
};

Json readiness_gates(const Json& pod, Time) {
  const JsonArray& gates = find_array(pod, {"spec", "readinessGates"});
  if (gates.empty()) return "<none>";
  const auto passed = std::ranges::count_if(gates, [&pod](const Json& gate) {
    return has_true_condition(pod, find_string(gate, {"conditionType"}));
  });
  return Json(fmt::format("{}/{}", passed, gates.size()));
}

Json total_usage(const Json& metrics, std::string_view resource) {
  int64_t milli = 0;
  Quantity::Format format = Quantity::Format::kDecimalSi;
  for (const Json& container : find_array(metrics, {"containers"}))
    if (const auto used = Quantity::parse(find_string(container, {"usage", resource}, "0"))) {
      milli += used->milli();
      format = used->format();
    }
  return Json(Quantity::from_milli(milli, format).to_string());
}

}  // namespace

CellHook find_pod_cell(std::string_view name) {
  static const std::unordered_map<std::string_view, CellHook> kHooks = {
      {"pod_ready", [](const Json& pod, Time) -> Json { return Json(PodSummary(pod).ready()); }},
      {"pod_status", [](const Json& pod, Time) -> Json { return Json(PodSummary(pod).reason()); }},
      {"pod_restarts",
       [](const Json& pod, Time now) -> Json { return Json(PodSummary(pod).restarts(now)); }},
      {"pod_ip",
       [](const Json& pod, Time) -> Json {
         return or_none(find_string(pod, {"status", "podIP"}));
       }},
      {"pod_node",
       [](const Json& pod, Time) -> Json {
         return or_none(find_string(pod, {"spec", "nodeName"}));
       }},
      {"pod_nominated_node",
       [](const Json& pod, Time) -> Json {
         return or_none(find_string(pod, {"status", "nominatedNodeName"}));
       }},
      {"pod_readiness_gates", readiness_gates},
      {"pod_metrics_cpu",
       [](const Json& metrics, Time) -> Json { return total_usage(metrics, "cpu"); }},
      {"pod_metrics_memory",
       [](const Json& metrics, Time) -> Json { return total_usage(metrics, "memory"); }},
  };
  const auto at = kHooks.find(name);
  return at != kHooks.end() ? at->second : nullptr;
}

}  // namespace berth::objects
