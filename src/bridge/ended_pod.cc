#include "bridge/ended_pod.h"

#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/time.h"
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

/// The end of its back-off, which the node agent (as a kubelet) tells as a time from its last end.
std::optional<Time> next_start(const Json& container) {
  constexpr std::string_view kPrefix = "back-off ";
  const std::string_view message = find_string(container, {"state", "waiting", "message"});
  const auto ended = parse_time(find_string(container, {"lastState", "terminated", "finishedAt"}));
  if (!ended || !message.starts_with(kPrefix)) return std::nullopt;
  const std::string_view rest = message.substr(kPrefix.size());
  const auto wait = parse_duration(rest.substr(0, rest.find(' ')));
  return wait ? std::optional(*ended + *wait) : std::nullopt;
}

/// Empty for one that is on its way.
std::string why_waiting(const Json& container) {
  const std::string_view reason = find_string(container, {"state", "waiting", "reason"});
  const std::string_view message = find_string(container, {"state", "waiting", "message"});
  const int64_t restarts = objects::find_int(container, {"restartCount"});
  if (reason.empty() || (message.empty() && restarts == 0)) return {};
  std::string text =
      fmt::format("container {} waits ({})", find_string(container, {"name"}), reason);
  if (!message.empty()) text += fmt::format(": {}", message);
  if (restarts > 0)
    text += fmt::format("; restarted {} {}", restarts, restarts == 1 ? "time" : "times");
  if (const Json* last = objects::find(container, {"lastState", "terminated"})) {
    text +=
        fmt::format("; it last ended with exit code {}", objects::find_int(*last, {"exitCode"}));
    if (const auto why = find_string(*last, {"reason"}); !why.empty())
      text += fmt::format(" ({})", why);
  }
  if (const auto at = next_start(container))
    text += fmt::format("; it starts again at {}", format_time(*at));
  return text;
}

}  // namespace

void explain_waiting_containers(const Json& pod, Json& answer) {
  if (find_string(pod, {"spec", "nodeName"}).empty() || !answer.is_object()) return;
  JsonArray reasons;
  for (const char* list : {"initContainerStatuses", "containerStatuses"})
    for (const Json& container : objects::find_array(pod, {"status", list}))
      if (std::string why = why_waiting(container); !why.empty())
        add_reason(reasons, find_string(container, {"state", "waiting", "reason"}), std::move(why));
  if (!reasons.empty()) answer.get_object()["reasons"] = std::move(reasons);
}

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
