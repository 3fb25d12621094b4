#include "cli/resources/sorting.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/quantity.h"
#include "objects/json_path.h"

namespace berth::cli {
namespace {

struct SortKey {
  std::optional<double> number;
  std::string text;
  bool found = false;

  bool operator<(const SortKey& other) const {
    if (found != other.found) return !found;
    if (number && other.number) return *number < *other.number;
    if (number.has_value() != other.number.has_value()) return number.has_value();
    return text < other.text;
  }
};

SortKey key_of(const Json& object, std::string_view path) {
  const Json* value = objects::at_path(object, path);
  if (value == nullptr || value->is_null()) return {};
  SortKey key{.number = std::nullopt, .text = objects::text_at(object, path), .found = true};
  if (value->is_number()) key.number = value->to_number<double>();
  if (value->is_string())
    if (const auto quantity = Quantity::parse(value->get_string()))
      key.number = static_cast<double>(quantity->milli());
  return key;
}

}  // namespace

Result<> sort_by(JsonArray& items, std::string_view path, bool in_rows) {
  std::string_view inner = path;
  if (inner.starts_with('{') && inner.ends_with('}')) inner = inner.substr(1, inner.size() - 2);
  std::vector<std::pair<SortKey, Json>> keyed;
  bool found = items.empty();
  for (Json& item : items) {
    const Json* object = in_rows ? objects::find(item, {"object"}) : &item;
    SortKey key = object == nullptr ? SortKey{} : key_of(*object, inner);
    found |= key.found;
    keyed.emplace_back(std::move(key), std::move(item));
  }
  if (found)
    std::ranges::stable_sort(keyed, [](const auto& a, const auto& b) { return a.first < b.first; });
  items.clear();
  for (auto& [key, item] : keyed) items.push_back(std::move(item));
  if (found) return {};
  return fail(ErrorCode::kInvalid, fmt::format("no object has a field `{}`", path), "--sort-by",
              "write a path such as .metadata.creationTimestamp");
}

}  // namespace berth::cli
