#include "bridge/object_events.h"

#include <algorithm>
#include <charconv>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/quantity.h"
#include "bridge/keys.h"
#include "bridge/node_selection.h"
#include "bridge/pod_task.h"

namespace berth::bridge {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_object;
using objects::find_string;

Quantity quantity_of(const Json& json) {
  if (json.is_int64()) return Quantity::from_units(json.get_int64());
  if (!json.is_string()) return {};
  return Quantity::parse(json.get_string()).value_or(Quantity());
}

Json parsed_annotation(const Json& object, std::string_view key) {
  const std::string_view text = find_string(object, {"metadata", "annotations", key});
  if (text.empty()) return nullptr;
  boost::system::error_code error;
  Json json = boost::json::parse(text, error);
  return error ? Json(nullptr) : json;
}

int64_t bytes_of(const Json& device, std::string_view key) {
  const Json* amount = find(device, {key});
  if (amount == nullptr) return 0;
  return quantity_of(*amount).units();
}

std::optional<uint32_t> count_at(const Json& object, std::string_view annotation) {
  const std::string_view text = find_string(object, {"metadata", "annotations", annotation});
  uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count;
}

core::QuotaSpec read_quota(const Json& queue, std::string_view field) {
  core::QuotaSpec quota;
  for (const auto& [name, json] : find_object(queue, {"spec", field})) {
    const Quantity amount = quantity_of(json);
    if (name == "cpu")
      quota.cpu_milli = amount.milli();
    else if (name == "memory")
      quota.memory_bytes = amount.units();
    else
      quota.accelerators.push_back({std::string(name), amount.milli(), 0});
  }
  for (const Json& row : find_array(queue, {"spec", "accelerators"}))
    if (const Json* amount = find(row, {field}))
      quota.accelerators.push_back(
          {std::string(find_string(row, {"model"})), quantity_of(*amount).milli(), 0});
  return quota;
}

JsonArray write_places(const std::vector<core::PlaceSpec>& places) {
  JsonArray list;
  for (const core::PlaceSpec& place : places) {
    JsonArray devices;
    for (const std::string& device : place.devices) devices.emplace_back(device);
    list.push_back(
        JsonObject{{"task", place.task}, {"node", place.node}, {"devices", std::move(devices)}});
  }
  return list;
}

std::vector<core::PlaceSpec> read_places(const Json& json) {
  std::vector<core::PlaceSpec> places;
  for (const Json& item : find_array(json, {"members"})) {
    core::PlaceSpec place{
        std::string(find_string(item, {"task"})), std::string(find_string(item, {"node"})), {}};
    for (const Json& device : find_array(item, {"devices"}))
      if (device.is_string()) place.devices.emplace_back(device.get_string());
    places.push_back(std::move(place));
  }
  return places;
}

Duration duration_at(const Json& queue, std::string_view field, Duration fallback) {
  const auto duration = parse_duration(find_string(queue, {"spec", field}));
  return duration ? *duration : fallback;
}

/// As the bookkeeper judged it. Before that it is not spent.
core::QueueBudget read_budget_state(const Json& queue) {
  const std::string_view state = find_string(queue, {"status", "budget", "state"});
  if (state != "Blocked" && state != "Preempting") return {};
  const auto until = parse_time(find_string(queue, {"status", "budget", "periodEnd"}));
  return {.spent = true,
          .preempts = state == "Preempting",
          .amount = std::string(find_string(queue, {"status", "budget", "amount"})),
          .until = until.value_or(Time{})};
}

}  // namespace

std::set<std::string> named_resources(const Json& node) {
  std::set<std::string> names;
  const Json devices = parsed_annotation(node, kDevices);
  if (const JsonArray* list = devices.if_array())
    for (const Json& device : *list)
      if (const auto resource = find_string(device, {"resource"}); !resource.empty())
        names.emplace(resource);
  return names;
}

core::NodeUpsert read_node(const Json& node) {
  core::NodeUpsert event;
  event.name = find_string(node, {"metadata", "name"});
  const JsonObject* allocatable = &find_object(node, {"status", "allocatable"});
  if (allocatable->empty()) allocatable = &find_object(node, {"status", "capacity"});
  const std::set<std::string> named = named_resources(node);
  const std::string_view product =
      find_string(node, {"metadata", "labels", "nvidia.com/gpu.product"},
                  find_string(node, {"metadata", "labels", "berth.dev/accelerator-model"}));
  for (const auto& [name, json] : *allocatable) {
    const Quantity amount = quantity_of(json);
    if (name == "cpu")
      event.capacity.cpu_milli = amount.milli();
    else if (name == "memory")
      event.capacity.memory_bytes = amount.units();
    else if (name == "ephemeral-storage")
      event.capacity.ephemeral_bytes = amount.units();
    else if (name == "pods")
      event.capacity.pods = amount.units();
    else if (!named.contains(std::string(name)) && amount.units() > 0) {
      const bool accelerator = is_accelerator(name);
      event.counted.push_back({std::string(name), accelerator ? std::string(product) : "",
                               amount.units(), accelerator});
    }
  }
  std::sort(event.counted.begin(), event.counted.end(),
            [](const auto& a, const auto& b) { return a.resource < b.resource; });
  const Json devices = parsed_annotation(node, kDevices);
  if (const JsonArray* list = devices.if_array())
    for (const Json& device : *list) {
      core::DeviceSpec spec;
      spec.id = find_string(device, {"id"});
      spec.resource = find_string(device, {"resource"});
      if (spec.id.empty() || spec.resource.empty()) continue;
      spec.model = find_string(device, {"model"});
      spec.link_domain = find_string(device, {"linkDomain"});
      spec.memory_bytes = bytes_of(device, "memoryBytes");
      spec.numa = static_cast<int16_t>(find_int(device, {"numa"}, -1));
      spec.healthy = find_bool(device, {"healthy"}, true);
      spec.busy = !find_string(device, {"busy"}).empty();  // it says who uses it
      event.devices.push_back(std::move(spec));
    }
  for (const auto& [key, value] : find_object(node, {"metadata", "labels"}))
    if (value.is_string())
      event.labels.emplace_back(std::string(key), std::string(value.get_string()));
  std::sort(event.labels.begin(), event.labels.end());
  for (const Json& taint : find_array(node, {"spec", "taints"})) {
    const std::string_view effect = find_string(taint, {"effect"});
    event.taints.push_back({std::string(find_string(taint, {"key"})),
                            std::string(find_string(taint, {"value"})),
                            effect == "NoExecute"          ? core::TaintEffect::kNoExecute
                            : effect == "PreferNoSchedule" ? core::TaintEffect::kPreferNoSchedule
                                                           : core::TaintEffect::kNoSchedule});
  }
  event.unschedulable = find_bool(node, {"spec", "unschedulable"});
  event.ready = false;
  for (const Json& condition : find_array(node, {"status", "conditions"}))
    if (find_string(condition, {"type"}) == "Ready")
      event.ready = find_string(condition, {"status"}) == "True";
  return event;
}

core::QueueUpsert read_queue(const Json& queue, const QueueDefaults& defaults) {
  core::QueueUpsert event;
  event.name = find_string(queue, {"metadata", "name"});
  event.parent = find_string(queue, {"spec", "parent"});
  event.weight_milli = find_int(queue, {"spec", "weight"}, 1) * 1000;
  event.guaranteed = read_quota(queue, "guaranteed");
  event.limit = read_quota(queue, "limit");
  const std::string_view said = find_string(queue, {"spec", "reclaim"});
  event.reclaim = said.empty()          ? defaults.reclaim
                  : said == "guarantee" ? core::Reclaim::kGuarantee
                                        : core::Reclaim::kFairShare;
  event.times.reclaim_delay = duration_at(queue, "reclaimDelay", defaults.times.reclaim_delay);
  event.times.protection = duration_at(queue, "protection", defaults.times.protection);
  event.times.replace_timeout =
      duration_at(queue, "replaceTimeout", defaults.times.replace_timeout);
  if (find(queue, {"spec", "budget"}) != nullptr) event.budget = read_budget_state(queue);
  return event;
}

core::GangUpsert read_pod_group(const Json& group, std::string_view queue_of_pods,
                                int32_t priority_of_pods) {
  core::GangUpsert event;
  event.name = gang_name(find_string(group, {"metadata", "namespace"}),
                         find_string(group, {"metadata", "name"}));
  event.queue = queue_label(group);
  if (event.queue.empty()) event.queue = queue_of_pods;
  event.priority = priority_of_pods;
  event.min =
      static_cast<uint32_t>(std::max<int64_t>(1, find_int(group, {"spec", "minMember"}, 1)));
  if (const auto min = count_at(group, kGangMin)) event.min = std::max(1u, *min);
  // Pods beyond the minimum are growth.
  event.max = std::max(event.min, count_at(group, kGangMax).value_or(core::kUndeclared - 1));
  const std::string_view required =
      find_string(group, {"metadata", "annotations", kTopologyRequired});
  event.topology_required = !required.empty();
  event.topology_key = required.empty()
                           ? find_string(group, {"metadata", "annotations", kTopologyPreferred})
                           : required;
  if (const auto created = parse_time(find_string(group, {"metadata", "creationTimestamp"})))
    event.created = *created;
  event.timeout = Duration::seconds(find_int(group, {"spec", "scheduleTimeoutSeconds"}));
  return event;
}

std::optional<core::DisruptionBudgetUpsert> read_disruption_budget(const Json& budget) {
  if (find(budget, {"spec", "selector"}) == nullptr) return std::nullopt;
  const std::string ns(find_string(budget, {"metadata", "namespace"}));
  return core::DisruptionBudgetUpsert{
      .name = ns + "/" + std::string(find_string(budget, {"metadata", "name"})),
      .ns = ns,
      .selector = read_label_selector(find_object(budget, {"spec"}), "selector"),
      .allowed = find_int(budget, {"status", "disruptionsAllowed"})};
}

std::vector<core::Action> read_memory(const Json& object, const std::string& gang) {
  std::vector<core::Action> actions;
  if (const Json json = parsed_annotation(object, kIntent); json.is_object())
    actions.push_back(core::PersistIntent{gang, static_cast<uint64_t>(find_int(json, {"plan"})),
                                          read_places(json)});
  if (const Json json = parsed_annotation(object, kClaim); json.is_object()) {
    core::Claim claim{gang, find_bool(json, {"reservation"}), read_places(json), {}, {}};
    claim.expires = parse_time(find_string(json, {"expires"})).value_or(Time{});
    if (const auto start = parse_time(find_string(json, {"start"}))) claim.start = *start;
    actions.push_back(std::move(claim));
  }
  return actions;
}

std::string write_intent(const core::PersistIntent& intent) {
  return boost::json::serialize(
      JsonObject{{"plan", intent.plan}, {"members", write_places(intent.members)}});
}

std::string write_claim(const core::Claim& claim) {
  JsonObject json{{"reservation", claim.reservation},
                  {"expires", format_time(claim.expires)},
                  {"members", write_places(claim.members)}};
  if (claim.start) json["start"] = format_time(*claim.start);
  return boost::json::serialize(json);
}

}  // namespace berth::bridge
