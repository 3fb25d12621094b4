#include "bridge/pod_events.h"

#include <fmt/format.h>

#include "bridge/api_calls.h"
#include "client/event.h"

namespace berth::bridge {

void record_event(client::ApiClient& client, const PodRef& pod, bool warning,
                  std::string_view reason, std::string_view message, Time now) {
  const std::string name =
      fmt::format("{}.{:016x}", pod.name,
                  static_cast<uint64_t>(now.ns) ^ std::hash<std::string_view>()(message));
  JsonObject about{{"apiVersion", "v1"},
                   {"kind", "Pod"},
                   {"namespace", pod.ns},
                   {"name", pod.name},
                   {"uid", pod.uid}};
  Json event = client::event_object(pod.ns, name, std::move(about),
                                    {"berth-scheduler", "", warning, reason, message}, now);
  client.create({kEvents, pod.ns, name, ""}, std::move(event), {}, &ToLoop::ignore);
}

}  // namespace berth::bridge
