#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace berth::node {

/// An IPv4 network, such as `10.4.0.0/16`.
struct Subnet {
  uint32_t address = 0;  ///< host byte order, host bits zero
  int prefix = 0;

  bool operator==(const Subnet&) const = default;
  uint32_t mask() const { return prefix == 0 ? 0 : ~uint32_t{0} << (32 - prefix); }
  bool contains(uint32_t ip) const { return (ip & mask()) == address; }
  bool overlaps(const Subnet& other) const {
    return contains(other.address) || other.contains(address);
  }
  std::string to_string() const;
};

std::string format_ipv4(uint32_t address);
std::optional<uint32_t> parse_ipv4(std::string_view text);
/// Fails with `kInvalid` when it is no network; host bits must be zero.
Result<Subnet> parse_subnet(std::string_view text);

/// What this machine already reaches by a route of its own, from the text of /proc/net/route, the
/// default route left out; and its name servers, from the text of /etc/resolv.conf.
std::vector<Subnet> subnets_in_use(std::string_view proc_net_route, std::string_view resolv_conf);

/// The first of Berth's candidates of that prefix length (16 or longer) that overlaps nothing in
/// `taken`. `kUnavailable` when all do.
Result<Subnet> choose_subnet(const std::vector<Subnet>& taken, int prefix);

}  // namespace berth::node
