#include <string>
#include <vector>

#include "objects/defaults.h"
#include "objects/defaults/rules.h"

namespace berth::objects {
namespace {

bool is_unset(const Json* value, const Field& field) {
  if (value == nullptr || value->is_null()) return true;
  // Go's zero string is what a client sends that means "not set".
  return field.type == Type::kString && value->is_string() && value->get_string().empty();
}

void default_object(const Struct& schema, JsonObject& object);

void default_value(const Field& field, Json& value) {
  switch (field.type) {
    case Type::kObject:
      if (JsonObject* object = value.if_object()) default_object(*field.object, *object);
      break;
    case Type::kList:
      if (field.item->type != Type::kObject && field.item->type != Type::kList) break;
      if (JsonArray* array = value.if_array())
        for (Json& item : *array) default_value(*field.item, item);
      break;
    case Type::kMap:
      if (field.item->type != Type::kObject) break;
      if (JsonObject* map = value.if_object())
        for (auto& member : *map) default_value(*field.item, member.value());
      break;
    default:
      break;
  }
}

void default_object(const Struct& schema, JsonObject& object) {
  if (const auto rule = defaults_rule(schema.name)) rule(object);
  for (const Field& field : schema.fields) {
    Json* value = object.if_contains(field.name);
    if (field.default_value != nullptr && is_unset(value, field))
      value = &(object[field.name] = *field.default_value);
    if (value != nullptr) default_value(field, *value);
  }
}

}  // namespace

void apply_defaults(const Kind& kind, Json& object) {
  if (JsonObject* members = object.if_object()) default_object(*kind.schema, *members);
}

}  // namespace berth::objects
