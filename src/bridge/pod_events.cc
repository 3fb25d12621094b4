#include "bridge/pod_events.h"

#include <fmt/format.h>

#include "bridge/api_calls.h"

namespace berth::bridge {

void record_event(client::ApiClient& client, const PodRef& pod, bool warning,
                  std::string_view reason, std::string_view message, Time now) {
  static constexpr std::string_view kComponent = "berth-scheduler";
  const std::string name =
      fmt::format("{}.{:016x}", pod.name,
                  static_cast<uint64_t>(now.ns) ^ std::hash<std::string_view>()(message));
  Json event = JsonObject{{"apiVersion", "v1"},
                          {"kind", "Event"},
                          {"metadata", JsonObject{{"name", name}, {"namespace", pod.ns}}},
                          {"involvedObject", JsonObject{{"apiVersion", "v1"},
                                                        {"kind", "Pod"},
                                                        {"namespace", pod.ns},
                                                        {"name", pod.name},
                                                        {"uid", pod.uid}}},
                          {"reason", reason},
                          {"message", message.substr(0, 1024)},
                          {"type", warning ? "Warning" : "Normal"},
                          {"count", 1},
                          {"firstTimestamp", format_time(now)},
                          {"lastTimestamp", format_time(now)},
                          {"source", JsonObject{{"component", kComponent}}},
                          {"reportingComponent", kComponent},
                          {"reportingInstance", ""}};
  client.create({kEvents, pod.ns, name, ""}, std::move(event), {}, &ToLoop::ignore);
}

}  // namespace berth::bridge
