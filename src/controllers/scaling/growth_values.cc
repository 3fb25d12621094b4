#include "controllers/scaling/growth_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"

namespace berth::controllers {
namespace {

constexpr double kLeast = 0.001;
constexpr double kChange = 0.25;

template <class T>
bool read(std::string_view text, T& number) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0;
}

std::string text_of(double value) {
  return fmt::format("{:.3g}", value < kLeast ? 0 : value);
}

}  // namespace

std::string GrowthValues::text() const {
  std::string text = fmt::format("{}:", min);
  for (const double value : values)
    text += fmt::format("{}{}", text.ends_with(':') ? " " : ", ", text_of(value));
  return text;
}

std::optional<GrowthValues> GrowthValues::parse(std::string_view text) {
  GrowthValues parsed;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || !read(text.substr(0, colon), parsed.min))
    return std::nullopt;
  for (const std::string_view part : split(text.substr(colon + 1), ','))
    if (!part.empty() && !read(part, parsed.values.emplace_back())) return std::nullopt;
  return parsed;
}

std::string GrowthValues::of(int64_t before) const {
  if (before < min || values.empty()) return {};
  const auto beyond = static_cast<size_t>(before - min);
  return text_of(beyond < values.size() ? values[beyond] : 0);
}

void GrowthValues::drop(int64_t replicas) {
  const int64_t beyond = std::max<int64_t>(0, replicas - min);
  min = std::max<int64_t>(0, min - replicas);
  values.erase(values.begin(),
               values.begin() + std::min<int64_t>(beyond, static_cast<int64_t>(values.size())));
}

bool GrowthValues::differs_from(const GrowthValues& other) const {
  if (min != other.min || values.size() != other.values.size()) return true;
  for (size_t i = 0; i < values.size(); ++i)
    if (std::abs(values[i] - other.values[i]) >
        std::max(kLeast, kChange * std::max(values[i], other.values[i])))
      return true;
  return false;
}

}  // namespace berth::controllers
