#include "node/network/cluster_ips.h"

#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_int;
using objects::find_string;

constexpr uint32_t kFirstNodePort = 30000;
constexpr uint32_t kNodePorts = 2768;

uint32_t place_of(std::string_view text) {
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

/// The first of `count` numbers from `first` on that is not taken, beginning at a place.
std::optional<uint32_t> take(std::set<uint32_t>& taken, uint32_t first, uint32_t count,
                             uint32_t place) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t candidate = first + (place % count + i) % count;
    if (taken.insert(candidate).second) return candidate;
  }
  return std::nullopt;
}

bool wants_address(const Json& service) {
  return find_string(service, {"spec", "clusterIP"}).empty() &&
         find_string(service, {"spec", "type"}) != "ExternalName" &&
         find(service, {"metadata", "deletionTimestamp"}) == nullptr;
}

bool wants_node_ports(const Json& service) {
  const std::string_view type = find_string(service, {"spec", "type"});
  if (type != "NodePort" && type != "LoadBalancer") return false;
  for (const Json& port : find_array(service, {"spec", "ports"})) {
    if (find_int(port, {"nodePort"}) == 0) return true;
  }
  return false;
}

}  // namespace

std::vector<ServicePatch> allocate_service_addresses(std::span<const SharedJson> services,
                                                     const Subnet& subnet) {
  std::set<uint32_t> addresses;
  std::set<uint32_t> ports;
  for (const SharedJson& service : services) {
    if (const auto ip = parse_ipv4(find_string(*service, {"spec", "clusterIP"})))
      addresses.insert(*ip);
    for (const Json& port : find_array(*service, {"spec", "ports"}))
      ports.insert(static_cast<uint32_t>(find_int(port, {"nodePort"})));
  }
  // Without the first and the last address, which are the network's own.
  const uint32_t room = ~subnet.mask() - 1;

  std::vector<ServicePatch> patches;
  for (const SharedJson& service : services) {
    const std::string ns(find_string(*service, {"metadata", "namespace"}));
    const std::string name(find_string(*service, {"metadata", "name"}));
    const uint32_t place = place_of(ns + "/" + name);
    JsonObject spec;
    if (wants_address(*service)) {
      if (const auto ip = take(addresses, subnet.address + 1, room, place)) {
        spec["clusterIP"] = format_ipv4(*ip);
        spec["clusterIPs"] = JsonArray{Json(format_ipv4(*ip))};
        spec["ipFamilies"] = JsonArray{Json("IPv4")};
        spec["ipFamilyPolicy"] = "SingleStack";
      }
    }
    if (wants_node_ports(*service)) {
      JsonArray changed = find_array(*service, {"spec", "ports"});
      for (Json& port : changed) {
        if (!port.is_object() || find_int(port, {"nodePort"}) != 0) continue;
        const auto number = take(ports, kFirstNodePort, kNodePorts, place);
        if (number) port.as_object()["nodePort"] = *number;
      }
      spec["ports"] = std::move(changed);
    }
    if (spec.empty()) continue;
    JsonObject metadata;
    metadata["resourceVersion"] = find_string(*service, {"metadata", "resourceVersion"});
    JsonObject patch;
    patch["metadata"] = std::move(metadata);
    patch["spec"] = std::move(spec);
    patches.push_back({ns, name, std::move(patch)});
  }
  return patches;
}

}  // namespace berth::node
