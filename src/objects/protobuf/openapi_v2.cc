#include "objects/protobuf/openapi_v2.h"

#include <bit>
#include <cstdint>
#include <utility>

#include "objects/json_text.h"

namespace berth::objects {
namespace {

/// A message that grows field by field.
class Message {
 public:
  void text(uint32_t number, std::string_view value) {
    tag(number, kBytes);
    varint(value.size());
    bytes_ += value;
  }
  void message(uint32_t number, const Message& value) { text(number, value.bytes_); }
  void flag(uint32_t number, bool value) {
    if (!value) return;
    tag(number, kVarint);
    varint(1);
  }
  void real(uint32_t number, double value) {
    tag(number, kFixed64);
    auto bits = std::bit_cast<uint64_t>(value);
    for (int i = 0; i < 8; ++i, bits >>= 8) bytes_ += static_cast<char>(bits & 0xff);
  }

  void text_of(uint32_t number, const JsonObject& from, std::string_view key) {
    const Json* value = from.if_contains(key);
    if (value != nullptr && value->is_string()) text(number, std::string_view(value->get_string()));
  }
  void texts_of(uint32_t number, const JsonObject& from, std::string_view key) {
    const Json* value = from.if_contains(key);
    if (value == nullptr || !value->is_array()) return;
    for (const Json& item : value->get_array())
      if (item.is_string()) text(number, std::string_view(item.get_string()));
  }
  void real_of(uint32_t number, const JsonObject& from, std::string_view key) {
    const Json* value = from.if_contains(key);
    if (value != nullptr && value->is_number()) real(number, value->to_number<double>());
  }
  void flag_of(uint32_t number, const JsonObject& from, std::string_view key) {
    const Json* value = from.if_contains(key);
    flag(number, value != nullptr && value->is_bool() && value->get_bool());
  }
  /// `Any`: a document within the document.
  void any(uint32_t number, const Json& value) {
    Message any;
    any.text(2, canonical_json(value));
    message(number, any);
  }
  /// The members whose names begin with `x-`, as `NamedAny`.
  void extensions(uint32_t number, const JsonObject& from) {
    for (const auto& [key, value] : from) {
      if (!std::string_view(key).starts_with("x-")) continue;
      Message named;
      named.text(1, key);
      named.any(2, value);
      message(number, named);
    }
  }

  std::string take() { return std::move(bytes_); }

 private:
  enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2 };
  void tag(uint32_t number, Wire wire) { varint(number << 3 | wire); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

Message schema(const JsonObject& json);

/// `Properties` and `Definitions`: names with their schemas.
Message named_schemas(const JsonObject& json) {
  Message list;
  for (const auto& [name, value] : json) {
    Message named;
    named.text(1, name);
    named.message(2, schema(value.as_object()));
    list.message(1, named);
  }
  return list;
}

Message schema(const JsonObject& json) {
  Message out;
  out.text_of(1, json, "$ref");
  out.text_of(2, json, "format");
  out.text_of(4, json, "description");
  if (const Json* value = json.if_contains("default")) out.any(5, *value);
  out.real_of(7, json, "maximum");
  out.real_of(9, json, "minimum");
  out.texts_of(19, json, "required");
  if (const Json* values = json.if_contains("enum"))
    for (const Json& value : values->as_array()) out.any(20, value);
  if (const Json* more = json.if_contains("additionalProperties")) {
    Message item;
    item.message(1, schema(more->as_object()));
    out.message(21, item);
  }
  if (json.contains("type")) {
    Message type;
    type.text_of(1, json, "type");
    out.message(22, type);
  }
  if (const Json* items = json.if_contains("items")) {
    Message item;
    item.message(1, schema(items->as_object()));
    out.message(23, item);
  }
  if (const Json* properties = json.if_contains("properties"))
    out.message(25, named_schemas(properties->as_object()));
  out.extensions(31, json);
  return out;
}

/// A `ParametersItem`: a parameter of the query or the path.
Message parameter(const JsonObject& json) {
  const Json* in = json.if_contains("in");
  const bool in_path = in != nullptr && *in == "path";
  Message sub;
  sub.flag_of(1, json, "required");
  sub.text_of(2, json, "in");
  sub.text_of(4, json, "name");
  sub.text_of(in_path ? 5 : 6, json, "type");
  Message not_body;
  not_body.message(in_path ? 4 : 3, sub);
  Message either;
  either.message(2, not_body);
  Message item;
  item.message(1, either);
  return item;
}

void parameters(Message& out, uint32_t number, const JsonObject& json) {
  const Json* list = json.if_contains("parameters");
  if (list == nullptr) return;
  for (const Json& item : list->as_array()) out.message(number, parameter(item.as_object()));
}

Message responses(const JsonObject& json) {
  Message list;
  for (const auto& [code, value] : json) {
    Message response;
    response.text_of(1, value.as_object(), "description");
    if (const Json* body = value.as_object().if_contains("schema")) {
      Message item;
      item.message(1, schema(body->as_object()));
      response.message(2, item);
    }
    Message either;
    either.message(1, response);
    Message named;
    named.text(1, code);
    named.message(2, either);
    list.message(1, named);
  }
  return list;
}

Message operation(const JsonObject& json) {
  Message out;
  out.texts_of(7, json, "consumes");
  parameters(out, 8, json);
  if (const Json* list = json.if_contains("responses"))
    out.message(9, responses(list->as_object()));
  out.extensions(13, json);
  return out;
}

Message path_item(const JsonObject& json) {
  constexpr std::pair<std::string_view, uint32_t> kMethods[] = {
      {"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  Message out;
  for (const auto& [method, number] : kMethods)
    if (const Json* found = json.if_contains(method))
      out.message(number, operation(found->as_object()));
  parameters(out, 9, json);
  return out;
}

Message paths(const JsonObject& json) {
  Message list;
  for (const auto& [path, value] : json) {
    Message named;
    named.text(1, path);
    named.message(2, path_item(value.as_object()));
    list.message(2, named);
  }
  return list;
}

}  // namespace

std::string openapi_v2_protobuf(const Json& document) {
  const JsonObject& json = document.as_object();
  const JsonObject& about = find_object(document, {"info"});
  Message info;
  info.text_of(1, about, "title");
  info.text_of(2, about, "version");
  Message out;
  out.text_of(1, json, "swagger");
  out.message(2, info);
  out.message(8, paths(find_object(document, {"paths"})));
  out.message(9, named_schemas(find_object(document, {"definitions"})));
  return out.take();
}

}  // namespace berth::objects
