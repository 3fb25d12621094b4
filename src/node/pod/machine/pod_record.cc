#include "node/pod/machine/pod_record.h"

#include <array>
#include <utility>

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_object;
using objects::find_string;

constexpr std::array<std::pair<Stage, std::string_view>, 6> kStages = {
    {{Stage::kWaiting, "waiting"},
     {Stage::kPulling, "pulling"},
     {Stage::kStarting, "starting"},
     {Stage::kRunning, "running"},
     {Stage::kStopping, "stopping"},
     {Stage::kExited, "exited"}}};

std::string_view name_of(Stage stage) {
  for (const auto& [value, name] : kStages)
    if (value == stage) return name;
  return "waiting";
}

Stage stage_of(std::string_view name) {
  for (const auto& [value, known] : kStages)
    if (known == name) return value;
  return Stage::kWaiting;
}

Json to_json(const Termination& t) {
  return JsonObject{{"exitCode", t.exit_code},        {"reason", t.reason},
                    {"message", t.message},           {"startedAt", t.started_at.ns},
                    {"finishedAt", t.finished_at.ns}, {"attempt", t.attempt}};
}

std::optional<Termination> termination(const Json* json) {
  if (json == nullptr || !json->is_object()) return std::nullopt;
  Termination t;
  t.exit_code = static_cast<int>(find_int(*json, {"exitCode"}));
  t.reason = find_string(*json, {"reason"});
  t.message = find_string(*json, {"message"});
  t.started_at.ns = find_int(*json, {"startedAt"});
  t.finished_at.ns = find_int(*json, {"finishedAt"});
  t.attempt = static_cast<int>(find_int(*json, {"attempt"}));
  return t;
}

Json to_json(const ContainerRecord& c) {
  JsonObject out = {{"name", c.name},
                    {"stage", name_of(c.stage)},
                    {"attempt", c.attempt},
                    {"waitingReason", c.waiting_reason},
                    {"waitingMessage", c.waiting_message},
                    {"startedAt", c.started_at.ns},
                    {"backoff", c.backoff.ns},
                    {"retryAt", c.retry_at.ns},
                    {"image", c.image},
                    {"imageID", c.image_id},
                    {"started", c.started},
                    {"ready", c.ready}};
  if (c.ended) out["ended"] = to_json(*c.ended);
  if (c.last) out["last"] = to_json(*c.last);
  return out;
}

void read_container(const Json& json, ContainerRecord& c) {
  c.stage = stage_of(find_string(json, {"stage"}));
  c.attempt = static_cast<int>(find_int(json, {"attempt"}));
  c.waiting_reason = find_string(json, {"waitingReason"});
  c.waiting_message = find_string(json, {"waitingMessage"});
  c.started_at.ns = find_int(json, {"startedAt"});
  c.backoff.ns = find_int(json, {"backoff"});
  c.retry_at.ns = find_int(json, {"retryAt"});
  c.image = find_string(json, {"image"});
  c.image_id = find_string(json, {"imageID"});
  c.started = find_bool(json, {"started"});
  c.ready = find_bool(json, {"ready"});
  c.ended = termination(find(json, {"ended"}));
  c.last = termination(find(json, {"last"}));
}

}  // namespace

ContainerRecord* PodState::find(std::string_view name) {
  for (auto* list : {&init, &regular})
    for (ContainerRecord& c : *list)
      if (c.name == name) return &c;
  return nullptr;
}

PodState new_record(const PodSpec& pod, Time now) {
  PodState out;
  out.start_time = now;
  const auto add = [&](const std::vector<ContainerSpec>& specs, std::vector<ContainerRecord>& to) {
    for (const ContainerSpec& spec : specs) {
      ContainerRecord c;
      c.name = spec.name;
      c.image = spec.image;
      c.requests = spec.requests;
      c.limits = spec.limits;
      if (!pod.init_containers.empty()) c.waiting_reason = "PodInitializing";
      to.push_back(std::move(c));
    }
  };
  add(pod.init_containers, out.init);
  add(pod.containers, out.regular);
  return out;
}

Json to_json(const PodState& record) {
  JsonArray init;
  for (const ContainerRecord& c : record.init) init.push_back(to_json(c));
  JsonArray regular;
  for (const ContainerRecord& c : record.regular) regular.push_back(to_json(c));
  JsonArray ips;
  for (const std::string& ip : record.ips) ips.emplace_back(ip);
  JsonObject conditions;
  for (const auto& [type, c] : record.conditions)
    conditions[type] = JsonObject{{"status", c.status}, {"since", c.since.ns}};
  return JsonObject{{"startTime", record.start_time.ns},
                    {"ips", std::move(ips)},
                    {"prepared", record.prepared},
                    {"ended", record.ended},
                    {"failReason", record.fail_reason},
                    {"failMessage", record.fail_message},
                    {"init", std::move(init)},
                    {"regular", std::move(regular)},
                    {"conditions", std::move(conditions)}};
}

Result<PodState> record_from_json(const Json& json, const PodSpec& pod, Time now) {
  if (!json.is_object()) return fail(ErrorCode::kInvalid, "not a pod record");
  PodState out = new_record(pod, now);
  out.start_time.ns = find_int(json, {"startTime"}, now.ns);
  for (const Json& ip : find_array(json, {"ips"}))
    if (ip.is_string()) out.ips.emplace_back(std::string_view(ip.get_string()));
  out.prepared = find_bool(json, {"prepared"});
  out.ended = find_bool(json, {"ended"});
  out.fail_reason = find_string(json, {"failReason"});
  out.fail_message = find_string(json, {"failMessage"});
  for (const char* list : {"init", "regular"})
    for (const Json& container : find_array(json, {list}))
      if (ContainerRecord* c = out.find(find_string(container, {"name"})))
        read_container(container, *c);
  for (const auto& [type, condition] : find_object(json, {"conditions"}))
    out.conditions[type] = {find_bool(condition, {"status"}), Time{find_int(condition, {"since"})}};
  return out;
}

}  // namespace berth::node
