#include <string>

#include <fmt/format.h>

#include "base/quantity.h"
#include "base/time.h"
#include "objects/defaults.h"
#include "objects/json_text.h"

namespace berth::objects {
namespace {

void prune_object(const Struct& schema, JsonObject& object);

void canonical_quantity(Json& value) {
  // A number is a quantity too, with the text that JSON gives it.
  const std::string text =
      value.is_string() ? std::string(value.get_string()) : canonical_json(value);
  if (const auto quantity = Quantity::parse(text)) value = quantity->to_string();
}

void prune_value(const Field& field, Json& value) {
  switch (field.type) {
    case Type::kObject:
      if (JsonObject* object = value.if_object()) prune_object(*field.object, *object);
      break;
    case Type::kList:
      if (JsonArray* array = value.if_array())
        for (Json& item : *array) prune_value(*field.item, item);
      break;
    case Type::kMap:
      if (JsonObject* map = value.if_object())
        for (auto& member : *map) prune_value(*field.item, member.value());
      break;
    case Type::kString:
      if (value.is_null()) value = "";  // the item of a list or map
      break;
    case Type::kQuantity:
      if (value.is_string() || value.is_number()) canonical_quantity(value);
      break;
    case Type::kTime:
    case Type::kMicroTime:
      if (value.is_string())
        if (const auto time = parse_time(value.get_string()))
          value = field.type == Type::kTime ? format_time(*time) : format_micro_time(*time);
      break;
    default:
      break;
  }
}

void prune_object(const Struct& schema, JsonObject& object) {
  for (auto at = object.begin(); at != object.end();) {
    const Field* field = schema.find(at->key());
    const bool gone =
        field == nullptr ? !schema.preserve_unknown : at->value().is_null() && !field->nullable;
    if (gone) {
      at = object.erase(at);  // also moves the last member here
      continue;
    }
    if (field != nullptr) prune_value(*field, at->value());
    ++at;
  }
}

}  // namespace

void prune(const Kind& kind, Json& object) {
  if (JsonObject* members = object.if_object()) prune_object(*kind.schema, *members);
}

}  // namespace berth::objects
