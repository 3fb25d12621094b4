#include "node/network/subnet.h"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

#include "base/text.h"

namespace berth::node {
namespace {

std::optional<uint32_t> parse_hex(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Private ranges that container engines, home routers and clouds do not use by default.
std::vector<Subnet> candidates() {
  std::vector<Subnet> result;
  for (uint32_t second = 210; second < 240; ++second)
    result.push_back({.address = 10U << 24 | second << 16, .prefix = 16});
  for (uint32_t second = 24; second < 32; ++second)
    result.push_back({.address = 172U << 24 | second << 16, .prefix = 16});
  return result;
}

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> result;
  size_t at = 0;
  while ((at = line.find_first_not_of(" \t", at)) != std::string_view::npos) {
    const size_t end = std::min(line.find_first_of(" \t", at), line.size());
    result.push_back(line.substr(at, end - at));
    at = end;
  }
  return result;
}

}  // namespace

std::vector<Route> routes(std::string_view proc_net_route) {
  std::vector<Route> result;
  for (const std::string_view line : split(proc_net_route, '\n')) {
    // Iface Destination Gateway Flags RefCnt Use Metric Mask ..., numbers in network byte order.
    const auto fields = words(line);
    if (fields.size() < 8) continue;
    const auto destination = parse_hex(fields[1]);
    const auto mask = parse_hex(fields[7]);
    if (!destination || !mask || *mask == 0) continue;
    result.push_back(
        {std::string(fields[0]),
         {.address = ntohl(*destination & *mask), .prefix = __builtin_popcount(*mask)}});
  }
  return result;
}

std::vector<Subnet> subnets_in_use(const std::vector<Route>& routes, std::string_view resolv_conf) {
  std::vector<Subnet> result;
  for (const Route& route : routes) result.push_back(route.subnet);
  for (const std::string_view line : split(resolv_conf, '\n')) {
    const auto fields = words(line);
    if (fields.size() < 2 || fields[0] != "nameserver") continue;
    if (const auto address = parse_ipv4(fields[1]))
      result.push_back({.address = *address, .prefix = 32});
  }
  return result;
}

Result<Subnet> choose_subnet(const std::vector<Subnet>& taken, int prefix) {
  for (Subnet candidate : candidates()) {
    candidate.prefix = std::max(prefix, candidate.prefix);
    const bool free =
        std::ranges::none_of(taken, [&](const Subnet& other) { return candidate.overlaps(other); });
    if (free) return candidate;
  }
  return fail(ErrorCode::kUnavailable, "every network that Berth would use is taken", "",
              "give one with --pod-subnet and one with --service-subnet");
}

}  // namespace berth::node
