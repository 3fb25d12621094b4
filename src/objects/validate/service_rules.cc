#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "objects/names.h"
#include "objects/validate/rules.h"

// Source: k8s.io/kubernetes/pkg/apis/{core,discovery}/validation.

namespace berth::objects {
namespace {

void check_service_ports(const JsonObject& spec, IssueSink& sink) {
  const JsonArray& ports = array_of(spec, "ports");
  std::set<std::string_view> names;
  const PathScope list(sink.path, "ports");
  for (size_t i = 0; i < ports.size(); ++i) {
    const JsonObject* port = ports[i].if_object();
    if (port == nullptr) continue;
    const PathScope item(sink.path, i);
    const std::string_view name = text_of(*port, "name");
    if (name.empty() && ports.size() > 1)
      sink.add(Issue::Kind::kRequired, "name", "must be set where a Service has several ports", "");
    if (!name.empty() && !names.insert(name).second)
      sink.add(Issue::Kind::kDuplicate, "name", fmt::format("`{}` is used twice", name),
               "give each port its own name");
    const Json* node_port = member(*port, "nodePort");
    const std::string_view type = text_of(spec, "type");
    if (type == "ClusterIP" && node_port != nullptr && *node_port != Json(0))
      sink.add(Issue::Kind::kForbidden, "nodePort", "may not be set when the type is ClusterIP",
               "remove it, or set `type: NodePort`");
  }
}

void service_spec(const JsonObject& spec, IssueSink& sink) {
  check_service_ports(spec, sink);
  const std::string_view type = text_of(spec, "type");
  const std::string_view ip = text_of(spec, "clusterIP");
  const bool headless = ip == "None";
  if (array_of(spec, "ports").empty() && !headless && type != "ExternalName")
    sink.add(Issue::Kind::kRequired, "ports", "must be set",
             "give at least one port, or make the Service headless with `clusterIP: None`");
  if (headless && (type == "NodePort" || type == "LoadBalancer"))
    sink.add(Issue::Kind::kInvalid, "clusterIP", fmt::format("may not be None for a {}", type),
             "remove it");
  if (!ip.empty() && !headless)
    if (const auto wrong = check_ip(ip))
      sink.add(Issue::Kind::kInvalid, "clusterIP", fmt::format("`{}` {}", ip, *wrong),
               "leave it out to get one, or set None");
  if (type == "ExternalName") {
    const std::string_view name = text_of(spec, "externalName");
    if (name.empty())
      sink.add(Issue::Kind::kRequired, "externalName", "must be set when the type is ExternalName",
               "");
    else if (const auto wrong = check_dns_subdomain(name))
      sink.add(Issue::Kind::kInvalid, "externalName", fmt::format("`{}` {}", name, *wrong), "");
    if (!ip.empty())
      sink.add(Issue::Kind::kForbidden, "clusterIP", "may not be set when the type is ExternalName",
               "remove it");
  }
}

void endpoint_slice(const JsonObject& object, IssueSink& sink) {
  const std::string_view type = text_of(object, "addressType");
  if (type != "IPv4" && type != "IPv6") return;
  const JsonArray& endpoints = array_of(object, "endpoints");
  const PathScope list(sink.path, "endpoints");
  for (size_t i = 0; i < endpoints.size(); ++i) {
    if (!endpoints[i].is_object()) continue;
    const PathScope item(sink.path, i);
    const JsonArray& addresses = array_of(endpoints[i].get_object(), "addresses");
    const PathScope inner(sink.path, "addresses");
    for (size_t j = 0; j < addresses.size(); ++j) {
      if (!addresses[j].is_string()) continue;
      const std::string_view address = addresses[j].get_string();
      const bool is_v6 = address.find(':') != std::string_view::npos;
      const PathScope at(sink.path, j);
      if (check_ip(address) || is_v6 != (type == "IPv6"))
        sink.add(Issue::Kind::kInvalid, fmt::format("`{}` is not an {} address", address, type));
    }
  }
}

void check_config_size(const JsonObject& object, IssueSink& sink) {
  constexpr size_t kMaxBytes = 1024 * 1024;
  size_t bytes = 0;
  for (std::string_view part : {"data", "binaryData"})
    for (const auto& [key, value] : object_of(object, part))
      bytes += key.size() + (value.is_string() ? value.get_string().size() : 0);
  if (bytes > kMaxBytes)
    sink.add(Issue::Kind::kTooLong, fmt::format("holds {} bytes, {} are allowed", bytes, kMaxBytes),
             "keep large files in a volume or an image");
}

void config_map(const JsonObject& object, IssueSink& sink) {
  check_config_size(object, sink);
  const JsonObject& binary = object_of(object, "binaryData");
  for (const auto& [key, value] : object_of(object, "data"))
    if (binary.contains(key)) {
      const PathScope scope(sink.path, "data");
      sink.add(Issue::Kind::kInvalid, key, "is in `binaryData`, too", "remove one of them");
    }
}

void secret(const JsonObject& object, IssueSink& sink) {
  check_config_size(object, sink);
  struct Needs {
    std::string_view type, key;
  };
  static constexpr std::array kNeeds = {
      Needs{"kubernetes.io/tls", "tls.crt"}, Needs{"kubernetes.io/tls", "tls.key"},
      Needs{"kubernetes.io/dockerconfigjson", ".dockerconfigjson"},
      Needs{"kubernetes.io/ssh-auth", "ssh-privatekey"}};
  const JsonObject& values = object_of(object, "data");
  for (const Needs& needs : kNeeds)
    if (text_of(object, "type") == needs.type && !values.contains(needs.key)) {
      const PathScope scope(sink.path, "data");
      sink.add(Issue::Kind::kRequired, needs.key,
               fmt::format("must be set in a secret of the type {}", needs.type), "");
    }
  if (text_of(object, "type") == "kubernetes.io/basic-auth" && !values.contains("username") &&
      !values.contains("password")) {
    const PathScope scope(sink.path, "data");
    sink.add(Issue::Kind::kRequired, "username", "must be set, or `password`", "");
  }
}

}  // namespace

ValueRule service_value_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, ValueRule> kRules = {
      {"core.v1.ConfigMap", config_map},
      {"core.v1.Secret", secret},
      {"core.v1.ServiceSpec", service_spec},
      {"discovery.v1.EndpointSlice", endpoint_slice},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

}  // namespace berth::objects
