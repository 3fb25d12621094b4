#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/subnet.h"

namespace berth::node {

/// A network that this machine reaches by a route of its own.
struct Route {
  std::string interface;
  Subnet subnet;

  bool operator==(const Route&) const = default;
};
/// From the text of /proc/net/route, the default route left out.
std::vector<Route> routes(std::string_view proc_net_route);

/// What is taken: by routes, and by the name servers in the text of /etc/resolv.conf.
std::vector<Subnet> subnets_in_use(const std::vector<Route>& routes, std::string_view resolv_conf);

/// The first of Berth's candidates of that prefix length (16 or longer) that overlaps nothing in
/// `taken`. `kUnavailable` when all do.
Result<Subnet> choose_subnet(const std::vector<Subnet>& taken, int prefix);

}  // namespace berth::node
