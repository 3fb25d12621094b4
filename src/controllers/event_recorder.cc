#include "controllers/event_recorder.h"

#include <functional>

#include <fmt/format.h>

#include "client/event.h"

namespace berth::controllers {
namespace {

constexpr size_t kRemembered = 1024;
constexpr std::string_view kComponent = "berth-controllers";

void ignore(const Result<SharedJson>&) {}

}  // namespace

void EventRecorder::record(const Note& note, Time now) {
  const Object& about = *note.about;
  const std::string ns = about.key.ns.empty() ? "default" : about.key.ns;
  const std::string mark = about.uid + '\n' + note.reason + '\n' + note.message;
  const client::Resource events{"", "v1", "events"};

  if (const auto at = index_.find(mark); at != index_.end()) {
    recent_.splice(recent_.begin(), recent_, at->second);
    Written& written = at->second->second;
    ++written.count;
    client_.patch({events, ns, written.name, ""}, client::PatchType::kMerge,
                  JsonObject{{"count", written.count}, {"lastTimestamp", format_time(now)}}, {},
                  &ignore);
    return;
  }

  Written written;
  written.name = fmt::format("{}.{:016x}", about.key.name,
                             static_cast<uint64_t>(now.ns) ^ std::hash<std::string>()(mark));
  const KindRow& kind = row(about.key.kind);
  JsonObject involved{{"apiVersion", kind.api_version},
                      {"kind", kind.name},
                      {"namespace", about.key.ns},
                      {"name", about.key.name},
                      {"uid", about.uid},
                      {"resourceVersion", about.resource_version}};
  Json event = client::event_object(ns, written.name, std::move(involved),
                                    {kComponent, "", note.warning, note.reason, note.message}, now);
  client_.create({events, ns, written.name, ""}, std::move(event), {}, &ignore);
  recent_.emplace_front(mark, std::move(written));
  index_[mark] = recent_.begin();
  if (recent_.size() > kRemembered) {
    index_.erase(recent_.back().first);
    recent_.pop_back();
  }
}

}  // namespace berth::controllers
