#include "objects/json.h"

namespace berth::objects {

const Json* find(const Json& root, std::initializer_list<std::string_view> path) {
  const Json* at = &root;
  for (std::string_view key : path) {
    const JsonObject* object = at->if_object();
    at = object == nullptr ? nullptr : object->if_contains(key);
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::string_view find_string(const Json& root, std::initializer_list<std::string_view> path,
                             std::string_view fallback) {
  const Json* at = find(root, path);
  return at != nullptr && at->is_string() ? std::string_view(at->get_string()) : fallback;
}

int64_t find_int(const Json& root, std::initializer_list<std::string_view> path, int64_t fallback) {
  const Json* at = find(root, path);
  if (at == nullptr) return fallback;
  if (at->is_int64()) return at->get_int64();
  if (at->is_uint64()) return static_cast<int64_t>(at->get_uint64());
  return fallback;
}

bool find_bool(const Json& root, std::initializer_list<std::string_view> path, bool fallback) {
  const Json* at = find(root, path);
  return at != nullptr && at->is_bool() ? at->get_bool() : fallback;
}

const JsonObject& find_object(const Json& root, std::initializer_list<std::string_view> path) {
  static const JsonObject kEmpty;
  const Json* at = find(root, path);
  return at != nullptr && at->is_object() ? at->get_object() : kEmpty;
}

const JsonArray& find_array(const Json& root, std::initializer_list<std::string_view> path) {
  static const JsonArray kEmpty;
  const Json* at = find(root, path);
  return at != nullptr && at->is_array() ? at->get_array() : kEmpty;
}

JsonObject& ensure_object(Json& root, std::initializer_list<std::string_view> path) {
  if (!root.is_object()) root.emplace_object();
  Json* at = &root;
  for (std::string_view key : path) {
    at = &at->get_object()[key];
    if (!at->is_object()) at->emplace_object();
  }
  return at->get_object();
}

}  // namespace berth::objects
