#include "base/subnet.h"

#include <charconv>

#include <fmt/format.h>

#include "base/text.h"

namespace berth {
namespace {

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
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
  uint32_t address = 0;
  const auto parts = split(text, '.');
  if (parts.size() != 4) return std::nullopt;
  for (const std::string_view part : parts) {
    const auto byte = parse_number<uint8_t>(part);
    // As inet_pton: a leading zero would mean octal to some.
    if (!byte || (part.size() > 1 && part.front() == '0')) return std::nullopt;
    address = address << 8 | *byte;
  }
  return address;
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

}  // namespace berth
