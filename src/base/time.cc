#include "base/time.h"

#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

namespace berth {
namespace {

struct Civil {
  int year, month, day, hour, minute, second;
  int64_t fraction_ns;
};

Civil civil_from(Time time) {
  using namespace std::chrono;
  const sys_time<nanoseconds> point{nanoseconds(time.ns)};
  const auto days = floor<std::chrono::days>(point);
  const year_month_day date{days};
  const hh_mm_ss clock{point - days};
  return {static_cast<int>(date.year()),
          static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day())),
          static_cast<int>(clock.hours().count()),
          static_cast<int>(clock.minutes().count()),
          static_cast<int>(clock.seconds().count()),
          clock.subseconds().count()};
}

bool read_digits(std::string_view text, size_t at, size_t count, int& out) {
  if (at + count > text.size()) return false;
  const auto* first = text.data() + at;
  const auto [end, status] = std::from_chars(first, first + count, out);
  return status == std::errc() && end == first + count;
}

struct Unit {
  std::string_view name;
  int64_t ns;
};
constexpr std::array kUnits = {
    Unit{"ns", 1},
    Unit{"us", 1'000},
    Unit{"\u00b5s", 1'000},
    Unit{"ms", 1'000'000},
    Unit{"s", 1'000'000'000},
    Unit{"m", 60'000'000'000},
    Unit{"h", 3'600'000'000'000},
};

std::unexpected<Error> bad_time(std::string_view text) {
  return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a time", text), {},
              "write it as 2026-11-23T10:48:05Z");
}

std::unexpected<Error> bad_duration(std::string_view text) {
  return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a duration", text), {},
              "write a number and a unit, such as 90s, 15m or 1h30m");
}

}  // namespace

Duration Duration::from_seconds(double seconds) {
  return {std::llround(seconds * 1e9)};
}

std::string format_time(Time time) {
  const Civil c = civil_from(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second);
}

std::string format_micro_time(Time time) {
  const Civil c = civil_from(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second, c.fraction_ns / 1000);
}

Result<Time> parse_time(std::string_view text) {
  using namespace std::chrono;
  Civil c{};
  const bool shaped = text.size() >= 20 && text[4] == '-' && text[7] == '-' &&
                      (text[10] == 'T' || text[10] == 't' || text[10] == ' ') && text[13] == ':' &&
                      text[16] == ':' && read_digits(text, 0, 4, c.year) &&
                      read_digits(text, 5, 2, c.month) && read_digits(text, 8, 2, c.day) &&
                      read_digits(text, 11, 2, c.hour) && read_digits(text, 14, 2, c.minute) &&
                      read_digits(text, 17, 2, c.second);
  if (!shaped || c.hour > 23 || c.minute > 59 || c.second > 60) return bad_time(text);
  const year_month_day date{year(c.year), month(static_cast<unsigned>(c.month)),
                            day(static_cast<unsigned>(c.day))};
  if (!date.ok()) return bad_time(text);
  size_t at = 19;
  if (text[at] == '.') {
    int64_t scale = 100'000'000;
    const size_t first = ++at;
    for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at]));
         ++at, scale /= 10)
      c.fraction_ns += (text[at] - '0') * scale;
    if (at == first) return bad_time(text);
  }
  int offset_minutes = 0;
  const std::string_view zone = text.substr(at);
  if (zone != "Z" && zone != "z") {
    int hours = 0, minutes = 0;
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' ||
        !read_digits(zone, 1, 2, hours) || !read_digits(zone, 4, 2, minutes))
      return bad_time(text);
    offset_minutes = (hours * 60 + minutes) * (zone[0] == '-' ? -1 : 1);
  }
  const sys_seconds second =
      sys_days(date) + hours(c.hour) + minutes(c.minute - offset_minutes) + seconds(c.second);
  constexpr sys_seconds kFirst = sys_days(year(1800) / 1 / 1);
  constexpr sys_seconds kLast = sys_days(year(2200) / 1 / 1);
  if (second < kFirst || second >= kLast)
    return Time{nanoseconds((second < kFirst ? kFirst : kLast).time_since_epoch()).count()};
  return Time{nanoseconds(second.time_since_epoch()).count() + c.fraction_ns};
}

Result<Duration> parse_duration(std::string_view text) {
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return Duration{};
  if (rest.empty()) return bad_duration(text);
  double total_ns = 0;
  while (!rest.empty()) {
    double number = 0;
    const auto [end, status] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    // `nan` and `inf` are numbers to from_chars.
    if (status != std::errc() || rest[0] == '-' || !std::isfinite(number))
      return bad_duration(text);
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const size_t unit_length = rest.find_first_of("0123456789.");
    const std::string_view name = rest.substr(0, unit_length);
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits)
      if (candidate.name == name) unit = &candidate;
    if (unit == nullptr) return bad_duration(text);
    total_ns += number * static_cast<double>(unit->ns);
    rest.remove_prefix(name.size());
  }
  if (total_ns > 9.2e18) return bad_duration(text);
  const int64_t ns = std::llround(total_ns);
  return Duration{negative ? -ns : ns};
}

namespace {

/// `value` / 10^`digits`, without trailing zeros.
std::string decimal(uint64_t value, int digits) {
  uint64_t unit = 1;
  for (int i = 0; i < digits; ++i) unit *= 10;
  std::string text = fmt::format("{}", value / unit);
  if (value % unit == 0) return text;
  text += fmt::format(".{:0{}}", value % unit, digits);
  text.resize(text.find_last_not_of('0') + 1);
  return text;
}

}  // namespace

std::string format_duration(Duration duration) {
  if (duration.ns == 0) return "0s";
  std::string text = duration.ns < 0 ? "-" : "";
  // INT64_MIN has no positive counterpart; unsigned arithmetic is exact for it too.
  uint64_t ns =
      duration.ns < 0 ? 0 - static_cast<uint64_t>(duration.ns) : static_cast<uint64_t>(duration.ns);
  if (ns < 1'000) return text + fmt::format("{}ns", ns);
  if (ns < 1'000'000) return text + decimal(ns, 3) + "\u00b5s";
  if (ns < 1'000'000'000) return text + decimal(ns, 6) + "ms";
  const uint64_t minutes = ns / 60'000'000'000;
  ns %= 60'000'000'000;
  if (minutes >= 60) text += fmt::format("{}h", minutes / 60);
  if (minutes > 0) text += fmt::format("{}m", minutes % 60);
  return text + decimal(ns, 9) + "s";
}

std::string format_age(Duration age) {
  constexpr int64_t kHour = 3600;
  constexpr int64_t kDay = 24 * kHour;
  constexpr int64_t kYear = 365;  // in days
  const int64_t s = age.ns < 0 ? 0 : age.ns / 1'000'000'000;
  if (s < 120) return fmt::format("{}s", s);
  if (s < 600 && s % 60 != 0) return fmt::format("{}m{}s", s / 60, s % 60);
  if (s < 3 * kHour) return fmt::format("{}m", s / 60);
  if (s < 8 * kHour && s % kHour / 60 != 0) return fmt::format("{}h{}m", s / kHour, s % kHour / 60);
  if (s < 2 * kDay) return fmt::format("{}h", s / kHour);
  if (s < 8 * kDay && s % kDay / kHour != 0)
    return fmt::format("{}d{}h", s / kDay, s % kDay / kHour);
  const int64_t days = s / kDay;
  if (days < 2 * kYear) return fmt::format("{}d", days);
  if (days < 8 * kYear && days % kYear != 0)
    return fmt::format("{}y{}d", days / kYear, days % kYear);
  return fmt::format("{}y", days / kYear);
}

}  // namespace berth
