#include "objects/validate/rules.h"

#include <unordered_map>

namespace berth::objects {

ValueRule value_rule(std::string_view struct_name) {
  for (const auto find : {pod_value_rule, workload_value_rule, service_value_rule,
                          policy_value_rule, berth_value_rule, serving_value_rule})
    if (const ValueRule rule = find(struct_name)) return rule;
  return nullptr;
}

const Json* member(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

std::string_view text_of(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                : std::string_view();
}

const JsonObject& object_of(const JsonObject& object, std::string_view key) {
  static const JsonObject kEmpty;
  const Json* value = object.if_contains(key);
  return value != nullptr && value->is_object() ? value->get_object() : kEmpty;
}

const JsonArray& array_of(const JsonObject& object, std::string_view key) {
  static const JsonArray kEmpty;
  const Json* value = object.if_contains(key);
  return value != nullptr && value->is_array() ? value->get_array() : kEmpty;
}

bool is_true(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

}  // namespace berth::objects
