#include "objects/openapi/schemas.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"

namespace berth::objects {
namespace {

constexpr std::string_view kMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.";

JsonObject scalar(std::string_view type, std::string_view format = {}) {
  JsonObject schema = {{"type", type}};
  if (!format.empty()) schema["format"] = format;
  return schema;
}

JsonArray texts(const std::vector<std::string_view>& values) {
  JsonArray array;
  for (std::string_view value : values) array.emplace_back(value);
  return array;
}

}  // namespace

std::string openapi_name(std::string_view name) {
  if (name.starts_with("meta.")) return "io.k8s.apimachinery.pkg.apis." + std::string(name);
  if (name.starts_with("metrics.")) return "io.k8s.metrics.pkg.apis." + std::string(name);
  if (name.starts_with("berth.")) return "dev." + std::string(name);
  if (name.starts_with("config.")) return "dev.berth." + std::string(name);
  if (name.starts_with("podgroup."))
    return "io.x-k8s.scheduling." + std::string(name.substr(name.find('.') + 1));
  for (std::string_view group : {"apps", "authentication", "autoscaling", "batch", "coordination",
                                 "core", "discovery", "events", "policy", "rbac", "scheduling"})
    if (name.starts_with(group) && name.substr(group.size()).starts_with('.'))
      return "io.k8s.api." + std::string(name);
  return std::string(name);
}

JsonObject group_version_kind(std::string_view group, std::string_view version,
                              std::string_view kind) {
  return {{"group", group}, {"version", version}, {"kind", kind}};
}

Json OpenApiSchemas::reference(std::string_view name) const {
  const std::string_view root =
      version_ == OpenApiVersion::kV3 ? "#/components/schemas/" : "#/definitions/";
  return JsonObject{{"$ref", fmt::format("{}{}", root, name)}};
}

Json OpenApiSchemas::special(std::string_view name, JsonObject schema) {
  if (!schemas_.contains(name)) schemas_[name] = std::move(schema);
  return reference(name);
}

JsonObject OpenApiSchemas::type_schema(const Field& field) {
  const bool v3 = version_ == OpenApiVersion::kV3;
  switch (field.type) {
    case Type::kString:
    case Type::kDuration:
      return scalar("string");
    case Type::kInt32:
      return scalar("integer", "int32");
    case Type::kInt64:
      return scalar("integer", "int64");
    case Type::kDouble:
      return scalar("number", "double");
    case Type::kBool:
      return scalar("boolean");
    case Type::kBytes:
      return scalar("string", "byte");
    case Type::kAny:
      return {{"x-kubernetes-preserve-unknown-fields", true}};
    case Type::kQuantity: {
      JsonObject schema = scalar("string");
      if (v3)
        schema = {
            {"oneOf", JsonArray{JsonObject{{"type", "string"}}, JsonObject{{"type", "number"}}}}};
      return special("io.k8s.apimachinery.pkg.api.resource.Quantity", schema).as_object();
    }
    case Type::kIntOrString: {
      JsonObject schema = scalar("string", "int-or-string");
      if (v3) {
        schema = {
            {"oneOf", JsonArray{JsonObject{{"type", "integer"}}, JsonObject{{"type", "string"}}}}};
        schema["format"] = "int-or-string";
      }
      return special("io.k8s.apimachinery.pkg.util.intstr.IntOrString", schema).as_object();
    }
    case Type::kTime:
      return special(std::string(kMeta) + "Time", scalar("string", "date-time")).as_object();
    case Type::kMicroTime:
      return special(std::string(kMeta) + "MicroTime", scalar("string", "date-time")).as_object();
    case Type::kObject:
      add(*field.object);
      return reference(openapi_name(field.object->name)).as_object();
    case Type::kMap:
      return {{"type", "object"}, {"additionalProperties", type_schema(*field.item)}};
    case Type::kList:
      return {{"type", "array"}, {"items", type_schema(*field.item)}};
  }
  return {};
}

JsonObject OpenApiSchemas::field_schema(const Field& field) {
  JsonObject schema = type_schema(field);
  // Beside a `$ref`, version 3.0 ignores everything; it has to stand in an `allOf`.
  if (schema.contains("$ref") && version_ == OpenApiVersion::kV3)
    schema = {{"allOf", JsonArray{schema}}};
  if (field.default_value != nullptr) schema["default"] = *field.default_value;
  if (!field.enum_values.empty() && field.type == Type::kString)
    schema["enum"] = texts(field.enum_values);
  if (field.minimum) schema["minimum"] = *field.minimum;
  if (field.maximum) schema["maximum"] = *field.maximum;
  if (field.type == Type::kList) {
    const bool keyed = field.list_type == ListType::kMap;
    schema["x-kubernetes-list-type"] =
        keyed ? "map" : (field.list_type == ListType::kSet ? "set" : "atomic");
    if (keyed) schema["x-kubernetes-list-map-keys"] = texts(field.list_keys);
  }
  if (field.atomic) schema["x-kubernetes-map-type"] = "atomic";
  if (field.patch_merge || field.patch_retain_keys)
    schema["x-kubernetes-patch-strategy"] = field.patch_merge && field.patch_retain_keys
                                                ? "merge,retainKeys"
                                                : (field.patch_merge ? "merge" : "retainKeys");
  if (!field.merge_key.empty()) schema["x-kubernetes-patch-merge-key"] = field.merge_key;
  return schema;
}

JsonObject OpenApiSchemas::struct_schema(const Struct& schema) {
  JsonObject properties;
  JsonArray required;
  for (const Field& field : schema.fields) {
    properties[field.name] = field_schema(field);
    if (field.required) required.emplace_back(field.name);
  }
  JsonObject result = {{"type", "object"}};
  if (!properties.empty()) result["properties"] = std::move(properties);
  if (!required.empty()) result["required"] = std::move(required);
  if (schema.atomic) result["x-kubernetes-map-type"] = "atomic";
  if (schema.preserve_unknown) result["x-kubernetes-preserve-unknown-fields"] = true;
  return result;
}

void OpenApiSchemas::add(const Struct& schema) {
  const std::string name = openapi_name(schema.name);
  if (schemas_.contains(name)) return;
  schemas_[name] = nullptr;  // a struct may refer to itself
  schemas_[name] = struct_schema(schema);
}

void OpenApiSchemas::add_kind_mark(std::string_view name, const Kind& kind,
                                   std::string_view kind_name) {
  JsonObject& schema = schemas_[name].as_object();
  Json& marks = schema["x-kubernetes-group-version-kind"];
  if (!marks.is_array()) marks.emplace_array();
  const Json mark = group_version_kind(kind.group, kind.version, kind_name);
  if (std::ranges::find(marks.get_array(), mark) == marks.get_array().end())
    marks.get_array().push_back(mark);
}

void OpenApiSchemas::add_kind(const Kind& kind) {
  add(*kind.schema);
  add_kind_mark(openapi_name(kind.schema->name), kind, kind.kind);
}

void OpenApiSchemas::add_list(const Kind& kind) {
  const std::string name = openapi_name(kind.schema->name) + "List";
  const Field* metadata = kind.schema->find("metadata");
  if (schemas_.contains(name) || metadata == nullptr) return;
  JsonObject items = {{"type", "array"}, {"items", reference(openapi_name(kind.schema->name))}};
  JsonObject properties = {{"apiVersion", scalar("string")},
                           {"kind", scalar("string")},
                           {"items", std::move(items)},
                           {"metadata", reference(std::string(kMeta) + "ListMeta")}};
  schemas_[name] = JsonObject{
      {"type", "object"}, {"properties", std::move(properties)}, {"required", JsonArray{"items"}}};
  add_kind_mark(name, kind, std::string(kind.kind) + "List");
}

}  // namespace berth::objects
