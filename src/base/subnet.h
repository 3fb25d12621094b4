#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace berth {

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

/// Where Services have their addresses, unless somebody else has that network.
inline constexpr Subnet kServiceSubnet{.address = 10U << 24 | 96U << 16, .prefix = 16};

std::string format_ipv4(uint32_t address);
std::optional<uint32_t> parse_ipv4(std::string_view text);
/// Fails with `kInvalid` when it is no network; host bits must be zero.
Result<Subnet> parse_subnet(std::string_view text);

}  // namespace berth
