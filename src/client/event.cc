#include "client/event.h"

#include <utility>

namespace berth::client {

Json event_object(std::string_view ns, std::string_view name, JsonObject about,
                  const EventNote& note, Time now) {
  constexpr size_t kLongestMessage = 1024;
  JsonObject source{{"component", note.component}};
  if (!note.instance.empty()) source["host"] = note.instance;
  return JsonObject{{"apiVersion", "v1"},
                    {"kind", "Event"},
                    {"metadata", JsonObject{{"name", name}, {"namespace", ns}}},
                    {"involvedObject", std::move(about)},
                    {"reason", note.reason},
                    {"message", note.message.substr(0, kLongestMessage)},
                    {"type", note.warning ? "Warning" : "Normal"},
                    {"count", 1},
                    {"firstTimestamp", format_time(now)},
                    {"lastTimestamp", format_time(now)},
                    {"source", std::move(source)},
                    {"reportingComponent", note.component},
                    {"reportingInstance", note.instance}};
}

}  // namespace berth::client
