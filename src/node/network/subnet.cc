#include "node/network/subnet.h"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/text.h"

namespace berth::node {
namespace {

template <class T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
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

std::string Subnet::to_string() const {
  return fmt::format("{}/{}", format_ipv4(address), prefix);
}

std::string format_ipv4(uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255,
                     address & 255);
}

std::optional<uint32_t> parse_ipv4(std::string_view text) {
  in_addr address{};
  if (::inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

Result<Subnet> parse_subnet(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_ipv4(text.substr(0, slash));
  const auto prefix =
      slash == std::string_view::npos ? std::nullopt : parse_number<int>(text.substr(slash + 1));
  if (!address || !prefix || *prefix < 0 || *prefix > 32)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is not an IPv4 network", text), "",
                "write it as 10.210.0.0/16");
  Subnet subnet{.address = *address, .prefix = *prefix};
  if ((subnet.address & ~subnet.mask()) != 0)
    return fail(ErrorCode::kInvalid,
                fmt::format("`{}` has bits behind its prefix of {}", text, *prefix), "",
                fmt::format("write {}/{}", format_ipv4(*address & subnet.mask()), *prefix));
  return subnet;
}

std::vector<Subnet> subnets_in_use(std::string_view proc_net_route, std::string_view resolv_conf) {
  std::vector<Subnet> result;
  for (const std::string_view line : split(proc_net_route, '\n')) {
    // Iface Destination Gateway Flags RefCnt Use Metric Mask ..., numbers in network byte order.
    const auto fields = words(line);
    if (fields.size() < 8) continue;
    const auto destination = parse_number<uint32_t>(fields[1], 16);
    const auto mask = parse_number<uint32_t>(fields[7], 16);
    if (!destination || !mask || *mask == 0) continue;
    result.push_back({.address = ntohl(*destination & *mask), .prefix = __builtin_popcount(*mask)});
  }
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
