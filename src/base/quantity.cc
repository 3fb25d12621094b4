#include "base/quantity.h"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace berth {
namespace {

__extension__ using Wide = __int128;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

struct Suffix {
  std::string_view name;
  int power;  // of ten or of two
};
constexpr std::array kDecimal = {Suffix{"n", -9}, Suffix{"u", -6}, Suffix{"m", -3}, Suffix{"", 0},
                                 Suffix{"k", 3},  Suffix{"M", 6},  Suffix{"G", 9},  Suffix{"T", 12},
                                 Suffix{"P", 15}, Suffix{"E", 18}};
constexpr std::array kBinary = {Suffix{"Ki", 10}, Suffix{"Mi", 20}, Suffix{"Gi", 30},
                                Suffix{"Ti", 40}, Suffix{"Pi", 50}, Suffix{"Ei", 60}};

std::unexpected<Error> bad_quantity(std::string_view text) {
  return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a quantity", text), {},
              "write a number with an optional suffix, such as 500m, 2, 1.5 or 16Gi");
}

int64_t saturate(Wide value) {
  if (value > kMax) return kMax;
  if (value < -kMax) return -kMax;
  return static_cast<int64_t>(value);
}

}  // namespace

Quantity Quantity::from_units(int64_t units, Format format) {
  return Quantity(saturate(static_cast<Wide>(units) * 1000), format);
}

Result<Quantity> Quantity::parse(std::string_view text) {
  std::string_view rest = text;
  bool negative = false;
  if (rest.starts_with('-') || rest.starts_with('+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  // Digits as one integer and a power of ten; past 19 digits only the magnitude is kept,
  // so that a binary suffix (up to 60 bits) still fits.
  Wide digits = 0;
  int power_of_ten = 0;
  bool any = false, fraction = false, inexact = false;
  size_t at = 0;
  for (; at < rest.size(); ++at) {
    const char c = rest[at];
    if (c == '.') {
      if (fraction) return bad_quantity(text);
      fraction = true;
    } else if (c >= '0' && c <= '9') {
      any = true;
      if (digits < static_cast<Wide>(1e18)) {
        digits = digits * 10 + (c - '0');
        if (fraction) --power_of_ten;
      } else {
        inexact |= c != '0';
        if (!fraction) ++power_of_ten;
      }
    } else {
      break;
    }
  }
  if (!any) return bad_quantity(text);
  const std::string_view suffix = rest.substr(at);

  Format format = Format::kDecimalSi;
  int binary_power = 0;
  bool known = false;
  for (const Suffix& s : kDecimal)
    if (s.name == suffix) power_of_ten += s.power, known = true;
  for (const Suffix& s : kBinary)
    if (s.name == suffix) binary_power = s.power, known = true, format = Format::kBinarySi;
  if (!known && suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E')) {
    int exponent = 0;
    const char* first = suffix.data() + (suffix[1] == '+' ? 2 : 1);
    const char* last = suffix.data() + suffix.size();
    const auto [end, status] = std::from_chars(first, last, exponent);
    if (status != std::errc() || end != last || exponent > 100 || exponent < -100)
      return bad_quantity(text);
    power_of_ten += exponent;
    format = Format::kDecimalExponent;
    known = true;
  }
  if (!known) return bad_quantity(text);

  constexpr Wide kLimit = static_cast<Wide>(1) << 123;  // ten times it still fits
  Wide milli = digits;
  for (power_of_ten += 3; power_of_ten > 0 && milli < kLimit && milli != 0; --power_of_ten)
    milli *= 10;
  for (; binary_power > 0 && milli < kLimit; --binary_power) milli *= 2;
  for (; power_of_ten < 0 && milli != 0; ++power_of_ten) {
    inexact |= milli % 10 != 0;
    milli /= 10;
  }
  if (inexact && milli < kMax) ++milli;
  return Quantity(saturate(negative ? -milli : milli), format);
}

int64_t Quantity::units() const {
  const int64_t whole = milli_ / 1000;
  return milli_ % 1000 > 0 ? whole + 1 : whole;
}

std::string Quantity::to_string() const {
  if (milli_ == 0) return "0";
  if (format_ == Format::kBinarySi && milli_ % 1000 == 0) {
    const int64_t units = milli_ / 1000;
    for (auto s = kBinary.rbegin(); s != kBinary.rend(); ++s)
      if (units % (int64_t{1} << s->power) == 0)
        return fmt::format("{}{}", units / (int64_t{1} << s->power), s->name);
    return fmt::format("{}", units);
  }
  int64_t value = milli_;
  int power = -3;
  while (power < 18 && value % 1000 == 0) value /= 1000, power += 3;
  if (format_ == Format::kDecimalExponent)
    return power == 0 ? fmt::format("{}", value) : fmt::format("{}e{}", value, power);
  for (const Suffix& s : kDecimal)
    if (s.power == power) return fmt::format("{}{}", value, s.name);
  return fmt::format("{}", value);
}

}  // namespace berth
