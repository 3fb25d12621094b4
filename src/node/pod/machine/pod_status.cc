#include "node/pod/machine/pod_status.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/quantity.h"
#include "node/runtime/container_runtime.h"

namespace berth::node {
namespace {

using objects::find_array;
using objects::find_string;

Json terminated(const Termination& t, const std::string& uid, const std::string& name) {
  JsonObject out = {{"exitCode", t.exit_code},
                    {"reason", t.reason},
                    {"finishedAt", format_time(t.finished_at)},
                    {"containerID", "berth://" + container_id(uid, name, t.attempt)}};
  if (t.started_at.ns != 0) out["startedAt"] = format_time(t.started_at);
  if (t.exit_code > 128 && t.exit_code < 160) out["signal"] = t.exit_code - 128;
  if (!t.message.empty()) out["message"] = t.message;
  return JsonObject{{"terminated", std::move(out)}};
}

Json state_of(const ContainerRecord& c, const std::string& uid) {
  if (c.stage == Stage::kExited && c.ended) return terminated(*c.ended, uid, c.name);
  if (c.stage == Stage::kRunning || c.stage == Stage::kStopping)
    return JsonObject{{"running", JsonObject{{"startedAt", format_time(c.started_at)}}}};
  JsonObject waiting = {{"reason", c.waiting_reason}};
  if (!c.waiting_message.empty()) waiting["message"] = c.waiting_message;
  return JsonObject{{"waiting", std::move(waiting)}};
}

JsonObject amounts(const ResourceAmounts& a) {
  JsonObject out;
  if (a.cpu_milli) out["cpu"] = Quantity::from_milli(*a.cpu_milli).to_string();
  if (a.memory_bytes) out["memory"] = Quantity::from_bytes(*a.memory_bytes).to_string();
  if (a.ephemeral_storage_bytes)
    out["ephemeral-storage"] = Quantity::from_bytes(*a.ephemeral_storage_bytes).to_string();
  return out;
}

Json container_status(const ContainerRecord& c, const std::string& uid) {
  JsonObject out = {{"name", c.name},
                    {"state", state_of(c, uid)},
                    {"lastState", c.last ? terminated(*c.last, uid, c.name) : JsonObject{}},
                    {"ready", c.ready},
                    {"started", c.started},
                    {"restartCount", c.attempt},
                    {"image", c.image},
                    {"imageID", c.image_id}};
  if (c.stage >= Stage::kRunning)
    out["containerID"] = "berth://" + container_id(uid, c.name, c.attempt);
  else if (c.last)
    out["containerID"] = "berth://" + container_id(uid, c.name, c.last->attempt);
  if (JsonObject requests = amounts(c.requests); !requests.empty()) {
    out["allocatedResources"] = requests;
    JsonObject resources = {{"requests", std::move(requests)}};
    if (JsonObject limits = amounts(c.limits); !limits.empty())
      resources["limits"] = std::move(limits);
    out["resources"] = std::move(resources);
  }
  return out;
}

/// Init containers that are done: exited with 0, or sidecars that have started.
bool initialised(const ContainerSpec& spec, const ContainerRecord& c) {
  if (spec.sidecar) return c.started;
  return c.stage == Stage::kExited && c.ended && c.ended->exit_code == 0;
}

struct Findings {
  bool init_done = true;
  std::string incomplete;  ///< names
  std::string unready;
};

Findings examine(const PodSpec& pod, const PodState& record) {
  Findings out;
  const bool any_ran = std::any_of(
      record.regular.begin(), record.regular.end(),
      [](const ContainerRecord& c) { return c.stage >= Stage::kRunning || c.attempt > 0; });
  for (size_t i = 0; i < record.init.size(); ++i)
    if (!initialised(pod.init_containers[i], record.init[i]) && !any_ran) {
      out.init_done = false;
      out.incomplete += (out.incomplete.empty() ? "" : " ") + record.init[i].name;
    }
  const auto add_unready = [&](const ContainerRecord& c) {
    if (!c.ready) out.unready += (out.unready.empty() ? "" : " ") + c.name;
  };
  for (size_t i = 0; i < record.init.size(); ++i)
    if (pod.init_containers[i].sidecar) add_unready(record.init[i]);
  for (const ContainerRecord& c : record.regular) add_unready(c);
  return out;
}

/// spec.readinessGates that nobody has set to True in the object.
std::string closed_gates(const PodSpec& pod) {
  std::string out;
  for (const Json& gate : find_array(pod.source, {"spec", "readinessGates"})) {
    const std::string_view type = find_string(gate, {"conditionType"});
    bool open = false;
    for (const Json& condition : find_array(pod.source, {"status", "conditions"}))
      open |=
          find_string(condition, {"type"}) == type && find_string(condition, {"status"}) == "True";
    if (!open) out += fmt::format("{}{}", out.empty() ? "" : " ", type);
  }
  return out;
}

struct Condition {
  std::string_view type;
  bool status = false;
  std::string reason;
  std::string message;
};

std::vector<Condition> conditions_of(const PodSpec& pod, const PodState& record,
                                     std::string_view phase) {
  const Findings found = examine(pod, record);
  const bool over = phase == "Succeeded" || phase == "Failed";
  Condition sandbox{"PodReadyToStartContainers", record.prepared && !record.ended, {}, {}};
  Condition initial{"Initialized", found.init_done, {}, {}};
  if (!found.init_done) {
    initial.reason = "ContainersNotInitialized";
    initial.message = fmt::format("containers with incomplete status: [{}]", found.incomplete);
  }
  Condition containers{"ContainersReady", found.unready.empty() && !over, {}, {}};
  if (over) {
    containers.reason = phase == "Succeeded" ? "PodCompleted" : "PodFailed";
  } else if (!found.unready.empty()) {
    containers.reason = "ContainersNotReady";
    containers.message = fmt::format("containers with unready status: [{}]", found.unready);
  }
  Condition ready = containers;
  ready.type = "Ready";
  if (const std::string gates = closed_gates(pod); ready.status && !gates.empty()) {
    ready.status = false;
    ready.reason = "ReadinessGatesNotReady";
    ready.message = fmt::format("conditions that are not True: [{}]", gates);
  }
  if (over) initial.reason = initial.status ? "PodCompleted" : initial.reason;
  return {std::move(sandbox), std::move(initial), std::move(ready), std::move(containers)};
}

}  // namespace

bool restarts(const PodSpec& pod, const ContainerSpec& container, const Termination& ended) {
  if (container.sidecar) return true;
  if (container.init) return ended.exit_code != 0 && pod.restart_policy != RestartPolicy::kNever;
  if (pod.restart_policy == RestartPolicy::kAlways) return true;
  return pod.restart_policy == RestartPolicy::kOnFailure && ended.exit_code != 0;
}

/// Final only once nothing of the pod runs: who reads that gives its devices to others.
std::string_view pod_phase(const PodSpec& pod, const PodState& record) {
  if (record.ended && !record.fail_reason.empty()) return "Failed";
  bool waiting = false;
  bool failed = false;
  for (const ContainerRecord& c : record.regular) {
    const bool began = c.stage == Stage::kRunning || c.stage == Stage::kStopping || c.last;
    waiting |= !began && c.stage != Stage::kExited;
    failed |= c.stage == Stage::kExited && c.ended && c.ended->exit_code != 0;
  }
  if (!record.ended) return waiting ? "Pending" : "Running";
  for (size_t i = 0; i < record.init.size(); ++i) {
    const ContainerRecord& c = record.init[i];
    failed |= !pod.init_containers[i].sidecar && c.stage == Stage::kExited && c.ended &&
              c.ended->exit_code != 0;
  }
  return failed || waiting ? "Failed" : "Succeeded";
}

Json pod_status(const PodSpec& pod, PodState& record, const std::string& host_ip, Time now) {
  const std::string_view phase = pod_phase(pod, record);
  JsonArray conditions;
  for (const Condition& c : conditions_of(pod, record, phase)) {
    ConditionRecord& kept = record.conditions[std::string(c.type)];
    if (kept.since.ns == 0 || kept.status != c.status) kept = {c.status, now};
    JsonObject out = {{"type", c.type},
                      {"status", c.status ? "True" : "False"},
                      {"lastProbeTime", nullptr},
                      {"lastTransitionTime", format_time(kept.since)}};
    out["reason"] = c.reason.empty() ? Json(nullptr) : Json(c.reason);
    out["message"] = c.message.empty() ? Json(nullptr) : Json(c.message);
    conditions.emplace_back(std::move(out));
  }
  JsonArray init;
  for (const ContainerRecord& c : record.init) init.push_back(container_status(c, pod.uid));
  JsonArray regular;
  for (const ContainerRecord& c : record.regular) regular.push_back(container_status(c, pod.uid));
  JsonObject out = {{"phase", phase},
                    {"conditions", std::move(conditions)},
                    {"startTime", format_time(record.start_time)},
                    {"qosClass", to_string(pod.qos)},
                    {"containerStatuses", std::move(regular)}};
  if (!host_ip.empty()) {
    out["hostIP"] = host_ip;
    out["hostIPs"] = JsonArray{JsonObject{{"ip", host_ip}}};
  }
  if (!record.ips.empty()) {
    out["podIP"] = record.ips.front();
    JsonArray ips;
    for (const std::string& ip : record.ips) ips.push_back(JsonObject{{"ip", ip}});
    out["podIPs"] = std::move(ips);
  }
  if (!init.empty()) out["initContainerStatuses"] = std::move(init);
  if (!record.fail_reason.empty()) {
    out["reason"] = record.fail_reason;
    out["message"] = record.fail_message;
  }
  return out;
}

}  // namespace berth::node
