#include "objects/yaml/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

// Source: resolve.go of go.yaml.in/yaml/v2, which sigs.k8s.io/yaml reads with.

namespace berth::objects {
namespace {

template <size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::ranges::find(words, text) != words.end();
}

constexpr auto kTrue = std::to_array<std::string_view>(
    {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"});
constexpr auto kFalse = std::to_array<std::string_view>(
    {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"});
constexpr auto kNull = std::to_array<std::string_view>({"", "~", "null", "Null", "NULL"});
constexpr auto kNotFinite =
    std::to_array<std::string_view>({".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf",
                                     "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"});

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Reads as Go's ParseInt with base 0: 0x, 0o, 0b and a leading 0 choose the base.
std::optional<Json> read_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = text[1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    text.remove_prefix(base == 8 && mark != 'o' && mark != 'O' ? 1 : 2);
  }
  uint64_t magnitude = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, magnitude, base);
  if (text.empty() || status != std::errc() || stop != end) return std::nullopt;
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (negative) {
    if (magnitude > kMax + 1) return std::nullopt;
    return Json(static_cast<int64_t>(0 - magnitude));
  }
  return magnitude <= kMax ? Json(static_cast<int64_t>(magnitude)) : Json(magnitude);
}

/// [-+]? ( .[0-9]+ | [0-9]+ (.[0-9]*)? ) ([eE][-+]?[0-9]+)?
bool is_float(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t first = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at - first;
  };
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  const size_t whole = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

std::optional<Json> read_float(std::string_view text) {
  if (!is_float(text)) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || !std::isfinite(value)) return std::nullopt;
  if (value == std::trunc(value) && std::abs(value) < 9e15)
    return Json(static_cast<int64_t>(value));
  return Json(value);
}

bool looks_like_date(std::string_view text) {
  return text.size() >= 8 && std::ranges::all_of(text.substr(0, 4), is_digit) && text[4] == '-' &&
         is_digit(text[5]);
}

/// Numbers to the base 60, which other YAML 1.1 readers know: 1:30.
bool looks_like_base_60(std::string_view text) {
  return !text.empty() && (is_digit(text[0]) || text[0] == '-' || text[0] == '+') &&
         text.find(':') != std::string_view::npos &&
         text.find_first_not_of("0123456789:._+-") == std::string_view::npos;
}

}  // namespace

Json resolve_plain_scalar(std::string_view text) {
  if (is_one_of(text, kNull)) return nullptr;
  if (is_one_of(text, kTrue)) return true;
  if (is_one_of(text, kFalse)) return false;
  const char first = text[0];
  if (!is_digit(first) && first != '-' && first != '+' && first != '.') return Json(text);
  if (is_one_of(text, kNotFinite)) return Json(text);
  std::string plain(text);
  if (first != '.') std::erase(plain, '_');
  if (first != '.')
    if (auto integer = read_integer(plain)) return *integer;
  if (auto number = read_float(plain)) return *number;
  return Json(text);
}

bool needs_quotes(std::string_view text) {
  if (text.empty() || !resolve_plain_scalar(text).is_string()) return true;
  if (text == "<<" || text == "=" || is_one_of(text, kNotFinite)) return true;
  if (looks_like_date(text) || looks_like_base_60(text)) return true;
  constexpr std::string_view kIndicators = "-?:,[]{}#&*!|>'\"%@`";
  const bool starts_special =
      kIndicators.find(text[0]) != std::string_view::npos &&
      !((text[0] == '-' || text[0] == '?' || text[0] == ':') && text.size() > 1 && text[1] != ' ');
  if (starts_special || text[0] == ' ' || text.back() == ' ' || text.back() == ':') return true;
  if (text.starts_with("---") || text.starts_with("...")) return true;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos)
    return true;
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

}  // namespace berth::objects
