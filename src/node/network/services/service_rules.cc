#include "node/network/services/service_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_int;
using objects::find_string;

std::string qualified(const Json& object, std::string_view name) {
  return fmt::format("{}/{}", find_string(object, {"metadata", "namespace"}), name);
}

std::optional<uint16_t> port_number(const Json& port, std::string_view field) {
  const int64_t number = find_int(port, {field});
  if (number < 1 || number > 65535) return std::nullopt;
  return static_cast<uint16_t>(number);
}

/// Does an endpoint take new connections? A condition that is not said counts as good news.
bool takes_connections(const Json& endpoint) {
  return objects::find_bool(endpoint, {"conditions", "ready"}, true) &&
         !objects::find_bool(endpoint, {"conditions", "terminating"}, false);
}

/// Backends by Service, then by port name.
using Backends = std::map<std::string, std::map<std::string, std::set<Backend>>>;

Backends collect_backends(std::span<const SharedJson> slices,
                          const std::set<std::string>& draining) {
  Backends result;
  for (const SharedJson& slice : slices) {
    const std::string_view service =
        find_string(*slice, {"metadata", "labels", "kubernetes.io/service-name"});
    if (service.empty() || find_string(*slice, {"addressType"}, "IPv4") != "IPv4") continue;
    auto& by_port = result[qualified(*slice, service)];
    for (const Json& port : find_array(*slice, {"ports"})) {
      const auto number = port_number(port, "port");
      if (!number) continue;
      std::set<Backend>& backends = by_port[std::string(find_string(port, {"name"}))];
      for (const Json& endpoint : find_array(*slice, {"endpoints"})) {
        if (!takes_connections(endpoint)) continue;
        for (const Json& address : find_array(endpoint, {"addresses"})) {
          if (!address.is_string()) continue;
          std::string ip(address.as_string());
          if (parse_ipv4(ip) && !draining.contains(ip)) backends.insert({std::move(ip), *number});
        }
      }
    }
  }
  return result;
}

std::vector<SharedJson> oldest_first(std::span<const SharedJson> services) {
  std::vector<SharedJson> sorted(services.begin(), services.end());
  std::ranges::stable_sort(sorted, {}, [](const SharedJson& service) {
    return std::tuple(find_string(*service, {"metadata", "creationTimestamp"}),
                      find_string(*service, {"metadata", "namespace"}),
                      find_string(*service, {"metadata", "name"}));
  });
  return sorted;
}

std::string_view protocol(const ServicePort& port) {
  return port.udp ? "udp" : "tcp";
}

/// Text in a comment must not end it.
std::string comment(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 120)) {
    if (c != '"' && c != '\\' && c >= ' ') result += c;
  }
  return result;
}

std::string forward_rule(const ServicePort& port) {
  if (port.backends.size() == 1) {
    return fmt::format("meta l4proto {} dnat to {}:{}", protocol(port), port.backends[0].ip,
                       port.backends[0].port);
  }
  std::string elements;
  for (size_t i = 0; i < port.backends.size(); ++i) {
    elements += fmt::format("{}{} : {} . {}", i == 0 ? "" : ", ", i, port.backends[i].ip,
                            port.backends[i].port);
  }
  return fmt::format("meta l4proto {} dnat to {} mod {} map {{ {} }}", protocol(port),
                     port.client_affinity ? "jhash ip saddr" : "numgen random",
                     port.backends.size(), elements);
}

std::string verdict_map(std::string_view name, std::string_view type,
                        const std::vector<std::string>& elements) {
  std::string text = fmt::format("\tmap {} {{\n\t\ttype {} : verdict\n", name, type);
  for (size_t i = 0; i < elements.size(); ++i)
    text += fmt::format("{}{}", i == 0 ? "\t\telements = {\n\t\t\t" : ",\n\t\t\t", elements[i]);
  if (!elements.empty()) text += "\n\t\t}\n";
  return text + "\t}\n";
}

}  // namespace

std::vector<ServicePort> service_ports(std::span<const SharedJson> services,
                                       std::span<const SharedJson> slices,
                                       const std::set<std::string>& draining) {
  const Backends backends = collect_backends(slices, draining);
  std::vector<ServicePort> result;
  std::set<std::tuple<std::string, bool, uint16_t>> claimed;
  std::set<std::pair<bool, uint16_t>> claimed_nodes;
  for (const SharedJson& service : oldest_first(services)) {
    const std::string cluster_ip(find_string(*service, {"spec", "clusterIP"}));
    if (!parse_ipv4(cluster_ip)) continue;
    if (find(*service, {"metadata", "deletionTimestamp"}) != nullptr) continue;
    const std::string name = qualified(*service, find_string(*service, {"metadata", "name"}));
    const auto known = backends.find(name);
    for (const Json& spec : find_array(*service, {"spec", "ports"})) {
      const std::string_view spoken = find_string(spec, {"protocol"}, "TCP");
      const auto number = port_number(spec, "port");
      if (!number || (spoken != "TCP" && spoken != "UDP")) continue;
      const std::string port_name(find_string(spec, {"name"}));
      ServicePort port;
      port.name = port_name.empty() ? fmt::format("{}:{}", name, *number) : name + ":" + port_name;
      port.udp = spoken == "UDP";
      port.port = *number;
      port.client_affinity = find_string(*service, {"spec", "sessionAffinity"}) == "ClientIP";
      if (claimed.emplace(cluster_ip, port.udp, port.port).second) port.cluster_ip = cluster_ip;
      const auto node_port = port_number(spec, "nodePort");
      if (node_port && claimed_nodes.emplace(port.udp, *node_port).second)
        port.node_port = *node_port;
      if (known != backends.end()) {
        const auto found = known->second.find(port_name);
        if (found != known->second.end())
          port.backends.assign(found->second.begin(), found->second.end());
      }
      if (!port.cluster_ip.empty() || port.node_port != 0) result.push_back(std::move(port));
    }
  }
  std::ranges::sort(result, {}, [](const ServicePort& port) {
    return std::tie(port.name, port.udp, port.port, port.cluster_ip);
  });
  return result;
}

std::string nft_ruleset(const ServiceNetwork& network, std::span<const ServicePort> ports) {
  std::string text = nft_removal(network);
  text += fmt::format("table ip {} {{\n", network.table);
  std::vector<std::string> by_address;
  std::vector<std::string> by_node_port;
  int number = 0;
  for (const ServicePort& port : ports) {
    if (port.backends.empty()) continue;
    const std::string chain = fmt::format("service_{}", number++);
    text += fmt::format("\tchain {} {{\n\t\t{} comment \"{}\"\n\t}}\n", chain, forward_rule(port),
                        comment(port.name));
    if (!port.cluster_ip.empty())
      by_address.push_back(
          fmt::format("{} . {} . {} : goto {}", port.cluster_ip, protocol(port), port.port, chain));
    if (port.node_port != 0)
      by_node_port.push_back(
          fmt::format("{} . {} : goto {}", protocol(port), port.node_port, chain));
  }
  text += verdict_map("services", "ipv4_addr . inet_proto . inet_service", by_address);
  text += verdict_map("node_ports", "inet_proto . inet_service", by_node_port);

  constexpr std::string_view kDispatch =
      "\t\tip daddr . meta l4proto . th dport vmap @services\n"
      "\t\tfib daddr type local meta l4proto . th dport vmap @node_ports\n";
  text += fmt::format(
      "\tchain from_pods {{\n\t\ttype nat hook prerouting priority -100; policy accept;\n{}\t}}\n"
      "\tchain from_here {{\n\t\ttype nat hook output priority -100; policy accept;\n{}\t}}\n",
      kDispatch, kDispatch);

  text += "\tchain on_the_way_out {\n\t\ttype nat hook postrouting priority 100; policy accept;\n";
  if (network.pods) {
    const std::string pods = network.pods->to_string();
    text += fmt::format(
        "\t\tip saddr {0} ip daddr {0} ct status dnat masquerade\n"
        "\t\tip saddr {0} ip daddr != {0} oifname != \"{1}\" masquerade\n",
        pods, network.bridge);
  } else {
    text += "\t\tct status dnat fib saddr type != local masquerade\n";
  }
  text += "\t}\n";

  if (!network.services) return text + "}\n";
  for (const auto& [chain, hook] : {std::pair{"refuse_pods", "forward"}, {"refuse_here", "output"}})
    text += fmt::format(
        "\tchain {1} {{\n\t\ttype filter hook {2} priority 0; policy accept;\n"
        "\t\tip daddr {0} meta l4proto tcp reject with tcp reset\n"
        "\t\tip daddr {0} reject\n\t}}\n",
        network.services->to_string(), chain, hook);
  return text + "}\n";
}

std::string nft_removal(const ServiceNetwork& network) {
  // Naming the table first makes the removal work where there is none.
  return fmt::format("table ip {0}\ndelete table ip {0}\n", network.table);
}

}  // namespace berth::node
