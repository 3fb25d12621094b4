#include "objects/json_path.h"

#include <charconv>

#include "objects/json_text.h"

namespace berth::objects {
namespace {

const Json* item_at(const Json& list, std::string_view inside) {
  const JsonArray* array = list.if_array();
  if (array == nullptr) return nullptr;
  if (inside.starts_with("?(@.") && inside.ends_with(")")) {
    inside = inside.substr(4, inside.size() - 5);
    const size_t equals = inside.find("==");
    if (equals == std::string_view::npos) return nullptr;
    std::string_view wanted = inside.substr(equals + 2);
    if (wanted.size() >= 2 && (wanted.front() == '"' || wanted.front() == '\''))
      wanted = wanted.substr(1, wanted.size() - 2);
    for (const Json& item : *array)
      if (text_at(item, inside.substr(0, equals)) == wanted) return &item;
    return nullptr;
  }
  size_t index = 0;
  const auto [end, status] = std::from_chars(inside.data(), inside.data() + inside.size(), index);
  if (status != std::errc() || end != inside.data() + inside.size()) return nullptr;
  return index < array->size() ? &(*array)[index] : nullptr;
}

/// Takes one key off the front of a path.
std::string take_key(std::string_view& path) {
  std::string key;
  size_t at = 0;
  for (; at < path.size() && path[at] != '.' && path[at] != '['; ++at) {
    if (path[at] == '\\' && at + 1 < path.size()) ++at;
    key += path[at];
  }
  path.remove_prefix(at);
  return key;
}

}  // namespace

const Json* at_path(const Json& root, std::string_view path) {
  const Json* at = &root;
  while (!path.empty() && at != nullptr) {
    if (path[0] == '.') path.remove_prefix(1);
    if (path.starts_with('[')) {
      const size_t close = path.find(']');
      if (close == std::string_view::npos) return nullptr;
      at = item_at(*at, path.substr(1, close - 1));
      path.remove_prefix(close + 1);
    } else if (!path.empty()) {
      const JsonObject* object = at->if_object();
      const std::string key = take_key(path);
      at = object == nullptr ? nullptr : object->if_contains(key);
    }
  }
  return at;
}

std::string text_at(const Json& root, std::string_view path) {
  const Json* value = at_path(root, path);
  if (value == nullptr || value->is_null()) return {};
  return value->is_string() ? std::string(value->get_string()) : canonical_json(*value);
}

}  // namespace berth::objects
