#include "objects/names.h"

#include <algorithm>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace berth::objects {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alnum(char c) {
  return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}
bool is_lower_alnum(char c) {
  return is_lower(c) || is_digit(c);
}

bool is_label_shaped(std::string_view text) {
  return !text.empty() && is_lower_alnum(text.front()) && is_lower_alnum(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_lower_alnum(c) || c == '-'; });
}

bool is_name_shaped(std::string_view text) {
  return !text.empty() && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::ranges::all_of(
             text, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

std::optional<std::string> too_long(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::nullopt;
  return fmt::format("has {} bytes, {} are allowed", text.size(), limit);
}

}  // namespace

std::optional<std::string> check_dns_label(std::string_view text) {
  if (auto wrong = too_long(text, 63)) return wrong;
  if (is_label_shaped(text)) return std::nullopt;
  return "must consist of lower-case letters, digits and `-`, and start and end with a letter or "
         "digit";
}

std::optional<std::string> check_dns_label_1035(std::string_view text) {
  if (auto wrong = too_long(text, 63)) return wrong;
  if (is_label_shaped(text) && is_lower(text.front())) return std::nullopt;
  return "must consist of lower-case letters, digits and `-`, start with a letter and end with a "
         "letter or digit";
}

std::optional<std::string> check_dns_subdomain(std::string_view text) {
  if (auto wrong = too_long(text, 253)) return wrong;
  std::string_view rest = text;
  for (;;) {
    const size_t dot = rest.find('.');
    if (!is_label_shaped(rest.substr(0, dot)))
      return "must consist of lower-case letters, digits, `-` and `.`, and start and end with a "
             "letter or digit";
    if (dot == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(dot + 1);
  }
}

std::optional<std::string> check_path_segment(std::string_view text) {
  if (text == "." || text == "..") return fmt::format("may not be `{}`", text);
  if (text.find_first_of("/%") != std::string_view::npos) return "may not contain `/` or `%`";
  return std::nullopt;
}

std::optional<std::string> check_qualified_name(std::string_view text) {
  const size_t slash = text.find('/');
  std::string_view name = text;
  if (slash != std::string_view::npos) {
    if (auto wrong = check_dns_subdomain(text.substr(0, slash)))
      return fmt::format("has a prefix that {}", *wrong);
    name.remove_prefix(slash + 1);
  }
  if (auto wrong = too_long(name, 63)) return wrong;
  if (is_name_shaped(name)) return std::nullopt;
  return "must consist of letters, digits, `-`, `_` and `.`, start and end with a letter or digit, "
         "and may have a DNS prefix, as in `example.com/name`";
}

std::optional<std::string> check_label_value(std::string_view text) {
  if (auto wrong = too_long(text, 63)) return wrong;
  if (text.empty() || is_name_shaped(text)) return std::nullopt;
  return "must consist of letters, digits, `-`, `_` and `.`, and start and end with a letter or "
         "digit";
}

std::optional<std::string> check_port_name(std::string_view text) {
  if (auto wrong = too_long(text, 15)) return wrong;
  if (is_label_shaped(text) && std::ranges::any_of(text, is_lower) &&
      text.find("--") == std::string_view::npos)
    return std::nullopt;
  return "must consist of lower-case letters, digits and single `-`, with at least one letter";
}

std::optional<std::string> check_env_name(std::string_view text) {
  // Any printable ASCII but `=` (the relaxed rule that is on by default since Kubernetes 1.32).
  if (!text.empty() &&
      std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~' && c != '='; }))
    return std::nullopt;
  return "must consist of printable ASCII characters other than `=`";
}

std::optional<std::string> check_config_key(std::string_view text) {
  if (auto wrong = too_long(text, 253)) return wrong;
  if (text == "." || text == ".." || text.starts_with(".."))
    return "may not be `.` or start with `..`";
  if (!text.empty() && std::ranges::all_of(text, [](char c) {
        return is_alnum(c) || c == '-' || c == '_' || c == '.';
      }))
    return std::nullopt;
  return "must consist of letters, digits, `-`, `_` and `.`";
}

std::optional<std::string> check_ip(std::string_view text) {
  const std::string address(text);
  in6_addr parsed;
  if (inet_pton(AF_INET, address.c_str(), &parsed) == 1 ||
      inet_pton(AF_INET6, address.c_str(), &parsed) == 1)
    return std::nullopt;
  return "must be an IPv4 or IPv6 address, such as 10.9.8.7";
}

std::string suggest_dns_name(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (is_lower_alnum(c)) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (out.ends_with('-')) out.pop_back();
  return out.substr(0, 63);
}

}  // namespace berth::objects
