#include "apiserver/api/service_addresses.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include <fmt/format.h>

namespace berth::apiserver {
namespace {

using objects::find_array;
using objects::find_int;
using objects::find_string;

/// The lowest stay free for fixed Services, as in Kubernetes: a sixteenth, at most this many.
constexpr uint32_t kMostKeptFree = 9;
constexpr int64_t kFirstNodePort = 30'000;
constexpr int64_t kLastNodePort = 32'767;

struct Taken {
  std::set<std::string, std::less<>> addresses;
  std::set<int64_t> node_ports;
};

Taken taken_by_others(const Transaction& transaction) {
  Taken taken;
  transaction.for_each("services", "", [&](const StoreKey&, const StoredPtr& stored) {
    const SharedJson service = stored->tree();
    taken.addresses.emplace(find_string(*service, {"spec", "clusterIP"}));
    for (const Json& port : find_array(*service, {"spec", "ports"})) {
      if (const int64_t number = find_int(port, {"nodePort"}); number != 0) {
        taken.node_ports.insert(number);
      }
    }
    return true;
  });
  return taken;
}

std::unexpected<Status> refuse(const Subject& subject, std::string path, std::string what) {
  return invalid(*subject.kind, subject.name,
                 {{objects::Issue::Kind::kInvalid, std::move(path), std::move(what),
                   "leave it out to get a free one"}});
}

}  // namespace

Answer<> give_service_address(Transaction& transaction, const Subject& subject, Json& service,
                              const Subnet& range) {
  JsonObject& spec = objects::ensure_object(service, {"spec"});
  const std::string type(find_string(service, {"spec", "type"}, "ClusterIP"));
  if (type == "ExternalName") return {};
  Taken taken = taken_by_others(transaction);

  std::string address(find_string(service, {"spec", "clusterIP"}));
  if (address.empty()) {
    // All but the network's own address and its broadcast address.
    const uint32_t hosts = ~range.mask() - 1;
    const uint32_t kept_free = std::min(kMostKeptFree, hosts / 16);
    for (uint32_t host = kept_free + 1; host <= hosts && address.empty(); ++host) {
      std::string candidate = format_ipv4(range.address + host);
      if (!taken.addresses.contains(candidate)) address = std::move(candidate);
    }
    if (address.empty()) return refuse(subject, "spec.clusterIP", "no address is left");
  } else if (address != "None") {
    const auto parsed = parse_ipv4(address);
    if (!parsed || !range.contains(*parsed))
      return refuse(subject, "spec.clusterIP", fmt::format("is not in {}", range.to_string()));
    if (taken.addresses.contains(address)) {
      return refuse(subject, "spec.clusterIP", "is taken by another Service");
    }
  }
  spec["clusterIP"] = address;
  spec["clusterIPs"] = JsonArray{Json(address)};
  spec["ipFamilies"] = JsonArray{"IPv4"};
  if (!spec.contains("ipFamilyPolicy")) spec["ipFamilyPolicy"] = "SingleStack";

  if (type != "NodePort" && type != "LoadBalancer") return {};
  Json* ports = spec.if_contains("ports");
  if (ports == nullptr || !ports->is_array()) return {};
  int64_t next = kFirstNodePort;
  for (Json& port : ports->get_array()) {
    int64_t number = find_int(port, {"nodePort"});
    if (number == 0) {
      while (taken.node_ports.contains(next) && next <= kLastNodePort) ++next;
      if (next > kLastNodePort) return refuse(subject, "spec.ports", "no node port is left");
      number = next;
    } else if (taken.node_ports.contains(number)) {
      return refuse(subject, "spec.ports.nodePort", fmt::format("{} is taken", number));
    } else if (number < kFirstNodePort || number > kLastNodePort) {
      return refuse(
          subject, "spec.ports.nodePort",
          fmt::format("{} is not between {} and {}", number, kFirstNodePort, kLastNodePort));
    }
    taken.node_ports.insert(number);
    port.as_object()["nodePort"] = number;
  }
  return {};
}

}  // namespace berth::apiserver
