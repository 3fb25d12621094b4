#include "bridge/ended_pod.h"

#include <string>

#include <fmt/format.h>

#include "bridge/pod_task.h"
#include "objects/json_path.h"

namespace berth::bridge {
namespace {

using objects::find_string;

void add_reason(JsonArray& reasons, std::string_view code, std::string message) {
  reasons.push_back(JsonObject{{"code", code}, {"message", std::move(message)}});
}

void add_container(JsonArray& reasons, const Json& container) {
  const Json* ended = objects::find(container, {"state", "terminated"});
  if (ended == nullptr) return;
  const std::string_view reason = find_string(*ended, {"reason"});
  std::string text =
      fmt::format("container {} ended with exit code {}", find_string(container, {"name"}),
                  objects::find_int(*ended, {"exitCode"}));
  if (!reason.empty()) text += fmt::format(" ({})", reason);
  if (const auto at = find_string(*ended, {"finishedAt"}); !at.empty())
    text += fmt::format(" at {}", at);
  if (const auto message = find_string(*ended, {"message"}); !message.empty())
    text += fmt::format(": {}", message);
  add_reason(reasons, reason.empty() ? "Ended" : reason, std::move(text));
}

}  // namespace

std::optional<Json> explain_ended(const Json& pod) {
  const std::string_view phase = find_string(pod, {"status", "phase"});
  if (phase != "Succeeded" && phase != "Failed") return std::nullopt;
  JsonArray reasons;
  const std::string_view reason = find_string(pod, {"status", "reason"});
  const std::string_view message = find_string(pod, {"status", "message"});
  if (!reason.empty() || !message.empty())
    add_reason(
        reasons, reason.empty() ? "Ended" : reason,
        fmt::format("{}{}{}", reason, reason.empty() || message.empty() ? "" : ": ", message));
  for (const char* list : {"initContainerStatuses", "containerStatuses"})
    for (const Json& container : objects::find_array(pod, {"status", list}))
      add_container(reasons, container);
  return JsonObject{{"task", task_name(pod)},
                    {"phase", phase},
                    {"node", find_string(pod, {"spec", "nodeName"})},
                    {"reasons", std::move(reasons)},
                    {"changes", JsonArray()}};
}

}  // namespace berth::bridge
