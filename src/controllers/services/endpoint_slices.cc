#include "controllers/services/endpoint_slices.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "controllers/pods.h"
#include "objects/selector.h"

namespace berth::controllers {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_string;

constexpr std::string_view kServiceName = "kubernetes.io/service-name";
constexpr std::string_view kManagedBy = "endpointslice.kubernetes.io/managed-by";
constexpr std::string_view kBerth = "endpointslice-controller.berth.dev";
constexpr size_t kMaxEndpoints = 1000;  // the API's own limit
constexpr size_t kLongestName = 63;

/// A Service's port as one pod serves it.
struct Port {
  std::string name;
  std::string protocol;
  int64_t number = 0;

  auto operator<=>(const Port&) const = default;
};

bool has_selector(const Object& service) {
  return !objects::find_object(*service.json, {"spec", "selector"}).empty() &&
         find_string(*service.json, {"spec", "type"}) != "ExternalName";
}

std::optional<objects::LabelSelector> selector_of(const Object& service) {
  Json selector(
      JsonObject{{"matchLabels", objects::find_object(*service.json, {"spec", "selector"})}});
  auto parsed = objects::LabelSelector::from_json(selector);
  if (!parsed) return std::nullopt;
  return *std::move(parsed);
}

/// The number of the container port of that name, among containers that keep running.
int64_t named_port(const Object& pod, std::string_view name, std::string_view protocol) {
  const auto in = [&](const JsonArray& containers, bool only_sidecars) -> int64_t {
    for (const Json& container : containers) {
      if (only_sidecars && find_string(container, {"restartPolicy"}) != "Always") continue;
      for (const Json& port : find_array(container, {"ports"})) {
        if (find_string(port, {"name"}) == name &&
            find_string(port, {"protocol"}, "TCP") == protocol)
          return find_int(port, {"containerPort"});
      }
    }
    return 0;
  };
  const int64_t number = in(find_array(*pod.json, {"spec", "containers"}), false);
  return number != 0 ? number : in(find_array(*pod.json, {"spec", "initContainers"}), true);
}

/// The Service's ports on this pod. One that names a container port which the pod lacks is left
/// out.
std::vector<Port> ports_on(const Object& service, const Object& pod) {
  std::vector<Port> ports;
  for (const Json& spec : find_array(*service.json, {"spec", "ports"})) {
    Port port{.name = std::string(find_string(spec, {"name"})),
              .protocol = std::string(find_string(spec, {"protocol"}, "TCP")),
              .number = find_int(spec, {"port"})};
    if (const Json* target = find(spec, {"targetPort"})) {
      if (target->is_string() && !target->get_string().empty())
        port.number = named_port(pod, std::string_view(target->get_string()), port.protocol);
      else if (const int64_t number = find_int(spec, {"targetPort"}); number != 0)
        port.number = number;
    }
    if (port.number != 0) ports.push_back(std::move(port));
  }
  std::ranges::sort(ports);
  return ports;
}

Json endpoint_of(const Object& service, const Object& pod) {
  const bool ready = is_ready(pod);
  const bool published = find_bool(*service.json, {"spec", "publishNotReadyAddresses"});
  Json endpoint(JsonObject{
      {"addresses", JsonArray{Json(find_string(*pod.json, {"status", "podIP"}))}},
      {"conditions", JsonObject{{"ready", published || (ready && !pod.deleting)},
                                {"serving", published || ready},
                                {"terminating", pod.deleting}}},
      {"targetRef",
       JsonObject{
           {"kind", "Pod"}, {"namespace", pod.key.ns}, {"name", pod.key.name}, {"uid", pod.uid}}}});
  const std::string_view node = find_string(*pod.json, {"spec", "nodeName"});
  if (!node.empty()) endpoint.as_object()["nodeName"] = node;
  const std::string_view hostname = find_string(*pod.json, {"spec", "hostname"});
  if (!hostname.empty() && find_string(*pod.json, {"spec", "subdomain"}) == service.key.name)
    endpoint.as_object()["hostname"] = hostname;
  return endpoint;
}

/// A short, stable word for a set of ports.
std::string suffix_of(const std::vector<Port>& ports, size_t chunk) {
  uint64_t hash = 14695981039346656037U;  // FNV-1a
  const auto mix = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  };
  for (const Port& port : ports)
    mix(fmt::format("{}/{}/{};", port.name, port.protocol, port.number));
  mix(fmt::format("#{}", chunk));
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::string word;
  for (int i = 0; i < 5; ++i, hash /= kLetters.size()) word += kLetters[hash % kLetters.size()];
  return word;
}

JsonArray format_ports(const std::vector<Port>& ports) {
  JsonArray result;
  for (const Port& port : ports)
    result.push_back(
        JsonObject{{"name", port.name}, {"protocol", port.protocol}, {"port", port.number}});
  return result;
}

/// What the slices of a Service should be, by name.
std::map<std::string, JsonObject> wanted_slices(const View& view, const Object& service) {
  std::map<std::vector<Port>, JsonArray> groups;
  const auto selector = selector_of(service);
  for (const ObjectPtr& pod : view.list(Kind::kPod, service.key.ns)) {
    if (!selector || is_finished(*pod) || !selector->matches_object(*pod->json)) continue;
    if (find_string(*pod->json, {"status", "podIP"}).empty()) continue;
    groups[ports_on(service, *pod)].push_back(endpoint_of(service, *pod));
  }
  JsonObject labels{{kServiceName, service.key.name}, {kManagedBy, kBerth}};
  if (find_string(*service.json, {"spec", "clusterIP"}) == "None")
    labels["service.kubernetes.io/headless"] = "";

  std::map<std::string, JsonObject> slices;
  for (const auto& [ports, endpoints] : groups) {
    for (size_t begin = 0; begin < endpoints.size(); begin += kMaxEndpoints) {
      const size_t end = std::min(begin + kMaxEndpoints, endpoints.size());
      JsonArray chunk;
      for (size_t i = begin; i < end; ++i) chunk.push_back(endpoints[i]);
      const std::string name = fmt::format("{}-{}", service.key.name.substr(0, kLongestName - 6),
                                           suffix_of(ports, begin / kMaxEndpoints));
      slices[name] = JsonObject{{"metadata", JsonObject{{"labels", labels}}},
                                {"addressType", "IPv4"},
                                {"endpoints", std::move(chunk)},
                                {"ports", format_ports(ports)}};
    }
  }
  return slices;
}

/// The fields of `slice` that differ from what is wanted.
JsonObject difference(const Object& slice, const JsonObject& wanted) {
  JsonObject change;
  for (const std::string_view field : {"endpoints", "ports"}) {
    const Json* now = find(*slice.json, {field});
    if (now == nullptr || *now != wanted.at(field)) change[field] = wanted.at(field);
  }
  const JsonObject& labels = wanted.at("metadata").at("labels").as_object();
  for (const auto& [key, value] : labels) {
    if (slice.label(key, "-") != std::string_view(value.get_string()))
      change["metadata"] = wanted.at("metadata");
  }
  return change;
}

Outcome reconcile(const View& view, const Key& key, Time) {
  Outcome outcome;
  const ObjectPtr service = view.find(key);
  // Slices of a Service that is gone are garbage by their owner reference.
  if (service == nullptr || service->deleting || !has_selector(*service)) return outcome;
  std::map<std::string, JsonObject> wanted = wanted_slices(view, *service);
  for (const ObjectPtr& slice : view.controlled(service->uid, Kind::kEndpointSlice)) {
    if (slice->label(kManagedBy) != kBerth || slice->deleting) continue;
    const auto found = wanted.find(slice->key.name);
    if (found == wanted.end()) {
      outcome.writes.push_back(remove(*slice));
      continue;
    }
    if (JsonObject change = difference(*slice, found->second); !change.empty())
      outcome.writes.push_back(patch_blind(*slice, std::move(change)));
    wanted.erase(found);
  }
  for (auto& [name, slice] : wanted) {
    slice["apiVersion"] = "discovery.k8s.io/v1";
    slice["kind"] = "EndpointSlice";
    JsonObject& metadata = slice["metadata"].as_object();
    metadata["name"] = name;
    metadata["namespace"] = key.ns;
    metadata["ownerReferences"] = JsonArray{owner_reference(*service)};
    Write write = create(Kind::kEndpointSlice, key.ns, std::move(slice));
    write.key.name = name;
    outcome.writes.push_back(std::move(write));
  }
  return outcome;
}

/// Every Service of the namespace when a pod changes: its labels before the change may have matched
/// one that they match no longer.
void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kService) keys.push_back(object.key);
  if (object.key.kind == Kind::kEndpointSlice) {
    const std::string_view service = object.label(kServiceName);
    if (!service.empty()) keys.push_back({Kind::kService, object.key.ns, std::string(service)});
  }
  if (object.key.kind != Kind::kPod) return;
  for (const ObjectPtr& service : view.list(Kind::kService, object.key.ns)) {
    if (has_selector(*service)) keys.push_back(service->key);
  }
}

}  // namespace

const Controller kEndpointSlices = {"endpoint-slices", &affected, &reconcile};

}  // namespace berth::controllers
