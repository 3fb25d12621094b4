#include "cli/output/explanation.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/output/print.h"
#include "objects/json_text.h"

namespace berth::cli {
namespace {

std::string state_of(const Json& pod) {
  const std::string_view phase = objects::find_string(pod, {"status", "phase"}, "Pending");
  const std::string_view node = objects::find_string(pod, {"spec", "nodeName"});
  if (phase == "Pending") return node.empty() ? "waiting" : fmt::format("starting on {}", node);
  if (phase == "Running") return fmt::format("running on {}", node);
  return phase == "Succeeded" ? "done" : "failed";
}

bool can_never_start(const Json& answer) {
  return std::ranges::any_of(objects::find_array(answer, {"reasons"}), [](const Json& reason) {
    return objects::find_string(reason, {"code"}) == "Never";
  });
}

void add_line(std::string& body, std::string_view name, std::string_view text) {
  if (!text.empty()) body += fmt::format("  {:<12}{}\n", name, text);
}

bool waits_to_restart(const Json& pod) {
  for (const std::string_view list : {"initContainerStatuses", "containerStatuses"})
    for (const Json& status : objects::find_array(pod, {"status", list}))
      if (objects::find_string(status, {"state", "waiting", "reason"}) == "CrashLoopBackOff")
        return true;
  return false;
}

std::string holder_text(const Json& holder) {
  const Json* devices = objects::find(holder, {"devices"});
  const double count =
      devices != nullptr && devices->is_number() ? devices->to_number<double>() : 0.0;
  // Who has no devices has CPU or memory.
  return fmt::format("{} ({}queue {}, priority {})", objects::find_string(holder, {"gang"}),
                     count > 0 ? fmt::format("{:g} of ", count) : "",
                     objects::find_string(holder, {"queue"}),
                     objects::find_int(holder, {"priority"}));
}

std::string gang_text(const Json& answer) {
  const std::string_view gang = objects::find_string(answer, {"gang"});
  if (gang.empty()) return {};
  std::string text = fmt::format("{}, starts with {} members together", gang,
                                 objects::find_int(answer, {"gangMinimum"}, 1));
  if (objects::find(answer, {"membersThatFit"}) != nullptr) {
    text += fmt::format("; {} would fit now", objects::find_int(answer, {"membersThatFit"}));
  }
  return text;
}

/// `status.growthValues` is `1: 0.52, 0.03`.
std::string growth_text(const Json& service) {
  const std::string_view told = objects::find_string(service, {"status", "growthValues"});
  const size_t colon = told.find(": ");
  if (colon == std::string_view::npos) return {};
  return fmt::format("beyond the minimum of {} each avoids {} objective misses a second",
                     told.substr(0, colon), told.substr(colon + 2));
}

}  // namespace

std::string devices_of(const Json& pod) {
  const std::string_view text =
      objects::find_string(pod, {"metadata", "annotations", "berth.dev/devices"});
  const auto parsed = objects::parse_json(text.empty() ? "{}" : text);
  if (!parsed) return {};
  std::string devices;
  for (const auto& [resource, list] : objects::find_object(parsed->value, {})) {
    if (!list.is_array()) continue;
    for (const Json& device : list.get_array()) {
      devices += fmt::format("{}{}", devices.empty() ? fmt::format("{} ", resource) : ", ",
                             objects::find_string(device, {"id"}));
      const int64_t milli = objects::find_int(device, {"milli"}, 1000);
      if (milli < 1000) devices += fmt::format(" ({}%)", milli / 10);
    }
  }
  return devices;
}

Explanation explain_pod(const Json& pod, const Json& answer, bool colour) {
  Explanation explanation;
  std::string state = state_of(pod);
  const bool restarting = waits_to_restart(pod);
  if (restarting)
    state = fmt::format("waits to restart on {}", objects::find_string(pod, {"spec", "nodeName"}));
  if (state == "waiting" && can_never_start(answer)) state = "can never start as it is";
  Colour mood = Colour::kGreen;
  if (state == "waiting" || restarting) mood = Colour::kYellow;
  if (state == "failed" || can_never_start(answer)) mood = Colour::kRed;
  explanation.heading = fmt::format("pod {}: {}", objects::find_string(pod, {"metadata", "name"}),
                                    paint(state, mood, colour));
  std::string& body = explanation.body;
  for (const Json& reason : objects::find_array(answer, {"reasons"})) {
    add_line(body, "because", objects::find_string(reason, {"message"}));
  }
  for (const Json& change : objects::find_array(answer, {"changes"})) {
    add_line(body, "would help", objects::find_string(change, {"text"}));
  }
  for (const Json& holder : objects::find_array(answer, {"holders"})) {
    add_line(body, "held by", holder_text(holder));
  }
  const std::string_view queue = objects::find_string(answer, {"queue"});
  const int64_t position = objects::find_int(answer, {"position"});
  if (!queue.empty()) {
    add_line(body, "queue",
             position > 0 ? fmt::format("{}, {}", queue,
                                        position == 1 ? "next in line"
                                                      : fmt::format("number {} in line", position))
                          : std::string(queue));
  }
  if (const Json* worth = objects::find(answer, {"growthValue"}); worth && worth->is_number())
    add_line(body, "growth",
             fmt::format("beyond its service's minimum, worth {:.3g} objective misses avoided a "
                         "device-second",
                         worth->to_number<double>()));
  add_line(body, "gang", gang_text(answer));
  add_line(body, "devices", devices_of(pod));
  return explanation;
}

Explanation explain_model_service(const Json& service) {
  const int64_t wanted = objects::find_int(service, {"status", "replicas"});
  Explanation out;
  out.heading = fmt::format("modelservice {}: {} of {} replicas ready",
                            objects::find_string(service, {"metadata", "name"}),
                            objects::find_int(service, {"status", "readyReplicas"}), wanted);
  for (const Json& variant : objects::find_array(service, {"status", "variants"})) {
    const std::string_view name = objects::find_string(variant, {"name"});
    const std::string_view why = objects::find_string(service, {"status", "variantReasons", name});
    add_line(out.body, "variant",
             fmt::format("{}: {} of {} ready{}{}", name, objects::find_int(variant, {"ready"}),
                         objects::find_int(variant, {"replicas"}), why.empty() ? "" : "; ", why));
  }
  add_line(out.body, "scaling", objects::find_string(service, {"status", "scalingReason"}));
  if (const std::string growth = growth_text(service); !growth.empty())
    add_line(out.body, "growth", growth);
  for (const Json& condition : objects::find_array(service, {"status", "conditions"}))
    if (objects::find_string(condition, {"status"}) != "True")
      add_line(out.body, "because", objects::find_string(condition, {"message"}));
    else if (objects::find_string(condition, {"type"}) == "Fits")
      add_line(out.body, "memory", objects::find_string(condition, {"message"}));
  return out;
}

Explanation explain_workload(std::string_view kind, const Json& object) {
  const std::string_view name = objects::find_string(object, {"metadata", "name"});
  const std::string_view ns = objects::find_string(object, {"metadata", "namespace"});
  Explanation out;
  if (kind == "job")
    out.heading = fmt::format("job {}: {} of {} succeeded, {} running, {} failed", name,
                              objects::find_int(object, {"status", "succeeded"}),
                              objects::find_int(object, {"spec", "completions"}, 1),
                              objects::find_int(object, {"status", "active"}),
                              objects::find_int(object, {"status", "failed"}));
  else
    out.heading = fmt::format("{} {}: {} of {} replicas ready", kind, name,
                              objects::find_int(object, {"status", "readyReplicas"}),
                              objects::find_int(object, {"spec", "replicas"}, 1));
  add_line(out.body, "scaling",
           objects::find_string(object, {"metadata", "annotations", "berth.dev/scaling-reason"}));
  add_line(out.body, "size",
           objects::find_string(object, {"metadata", "annotations", "berth.dev/sizing-reason"}));
  for (const Json& condition : objects::find_array(object, {"status", "conditions"})) {
    const std::string_view type = objects::find_string(condition, {"type"});
    const std::string_view message = objects::find_string(condition, {"message"});
    const bool holds = objects::find_string(condition, {"status"}) == "True";
    if (holds && type == "Suspended") {
      add_line(out.body, "because", "it is suspended: it has no pods until it is resumed");
      add_line(out.body, "would help",
               fmt::format("set spec.suspend to false in its manifest and `berth apply` it, or "
                           "`kubectl -n {} patch job {} -p '{{\"spec\":{{\"suspend\":false}}}}'`",
                           ns, name));
    } else if (holds && type == "ReplicaFailure") {
      const bool quota = message.find("exceeded quota") != std::string_view::npos;
      add_line(out.body, "because", message);
      add_line(
          out.body, "would help",
          fmt::format("{}: the missing ones are then made by themselves",
                      quota ? fmt::format("raise that quota, or end other pods of namespace {}", ns)
                            : "correct what it names"));
    } else if (holds ? type == "Failed" || type == "berth.dev/BackingOff" : type == "Progressing") {
      add_line(out.body, "because", message);
    }
  }
  return out;
}

std::string explain_line(const Json& answer) {
  const JsonArray& reasons = objects::find_array(answer, {"reasons"});
  return reasons.empty() ? std::string()
                         : std::string(objects::find_string(reasons[0], {"message"}));
}

}  // namespace berth::cli
