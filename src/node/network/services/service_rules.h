#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "node/network/subnet.h"
#include "objects/json.h"

namespace berth::node {

struct Backend {
  std::string ip;
  uint16_t port = 0;

  auto operator<=>(const Backend&) const = default;
};

/// One port of one Service: where it is reached, and what answers.
struct ServicePort {
  std::string name;  ///< `namespace/service:port`, for people who read the ruleset
  bool udp = false;
  std::string cluster_ip;  ///< empty: reached by the node port only
  uint16_t port = 0;
  uint16_t node_port = 0;  ///< 0: none
  bool client_affinity = false;
  /// Ready and not on their way out: a new connection goes to one of these. Connections that exist
  /// stay where they are, so an endpoint that left this list drains. Sorted.
  std::vector<Backend> backends;

  bool operator==(const ServicePort&) const = default;
};

/// What to forward, from Services and EndpointSlices of every namespace, in a stable order. Left
/// out are Services without a cluster address (headless, ExternalName, not yet given one), ports
/// other than TCP and UDP, and addresses other than IPv4. Where two Services claim the same address
/// and port, the older one has it. Addresses in `draining` are no backends, whatever a slice says.
std::vector<ServicePort> service_ports(std::span<const SharedJson> services,
                                       std::span<const SharedJson> slices,
                                       const std::set<std::string>& draining = {});

/// The networks that the rules speak of.
struct ServiceNetwork {
  std::string table;  ///< an nftables table of family `ip` that is wholly Berth's
  /// Refused where no Service answers; unset where other machines may have these addresses.
  std::optional<Subnet> services;
  /// Berth's own bridge and its pods; unset where another network provides the pods.
  std::optional<Subnet> pods;
  std::string bridge;
};

/// The input of `nft -f -` that replaces Berth's table, in one transaction:
/// - a connection to a Service goes to a random backend, or with affinity to one chosen by the
///   client's address; from pods and from this machine alike;
/// - what the service network does not answer is refused at once rather than lost;
/// - pods reach other networks under this machine's address; and a pod that reaches another one on
///   the same bridge through a Service is seen as the gateway, so that the answer comes back
///   through it.
std::string nft_ruleset(const ServiceNetwork& network, std::span<const ServicePort> ports);
/// The input that removes the table, also when there is none.
std::string nft_removal(const ServiceNetwork& network);

}  // namespace berth::node
