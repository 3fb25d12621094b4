#include "node/event_recorder.h"

#include <algorithm>

#include <fmt/format.h>

#include "client/event.h"

namespace berth::node {
namespace {

constexpr double kBurst = 25;
constexpr double kRefillPerSecond = 1.0 / 60;
constexpr size_t kMostKnown = 2048;
/// A count is written at most this often.
constexpr Duration kCountPeriod = Duration::seconds(10);

const client::Resource kEvents = {"", "v1", "events"};

}  // namespace

EventRecorder::EventRecorder(client::ApiClient& api, const Clock& clock, std::string node_name)
    : api_(api), clock_(clock), node_name_(std::move(node_name)) {}

bool EventRecorder::allowed(const std::string& uid, Time now) {
  if (buckets_.size() > kMostKnown) buckets_.clear();
  Bucket& bucket = buckets_.try_emplace(uid, Bucket{kBurst, now}).first->second;
  bucket.tokens =
      std::min(kBurst, bucket.tokens + (now - bucket.filled).to_seconds() * kRefillPerSecond);
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void EventRecorder::record(const About& about, bool warning, const std::string& reason,
                           const std::string& message) {
  const Time now = clock_.now();
  const std::string ns = about.ns.empty() ? "default" : about.ns;
  const std::string key = fmt::format("{}/{}/{}/{}", about.uid, about.container, reason, message);
  const auto found = known_.find(key);
  if (found != known_.end()) {
    Known& known = found->second;
    ++known.count;
    if (now - known.sent < kCountPeriod) return;
    known.sent = now;
    api_.patch({kEvents, ns, known.name, {}}, client::PatchType::kMerge,
               JsonObject{{"count", known.count}, {"lastTimestamp", format_time(now)}}, {},
               [](const Result<SharedJson>&) {});
    return;
  }
  if (!allowed(about.uid, now)) return;
  const std::string name =
      fmt::format("{}.{:x}{:x}", about.name, static_cast<uint64_t>(now.ns), ++sequence_);
  known_[key] = {name, 1, now, now};
  order_.push_back(key);
  if (order_.size() > kMostKnown) {
    known_.erase(order_.front());
    order_.pop_front();
  }
  JsonObject regarding = {
      {"kind", about.kind}, {"apiVersion", "v1"}, {"name", about.name}, {"uid", about.uid}};
  if (!about.ns.empty()) regarding["namespace"] = about.ns;
  if (!about.container.empty())
    regarding["fieldPath"] = fmt::format("spec.containers{{{}}}", about.container);
  Json event = client::event_object(ns, name, std::move(regarding),
                                    {"berth-node", node_name_, warning, reason, message}, now);
  api_.create({kEvents, ns, {}, {}}, std::move(event), {}, [](const Result<SharedJson>&) {});
}

}  // namespace berth::node
