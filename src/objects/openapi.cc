#include "objects/openapi.h"

#include <set>

#include <fmt/format.h>

#include "objects/json_text.h"
#include "objects/openapi/schemas.h"

namespace berth::objects {
namespace {

constexpr std::string_view kVersion = "v1.36.3";

JsonObject document_info() {
  return {{"title", "Kubernetes"}, {"version", kVersion}};
}

std::string document_path(const Kind& kind) {
  return kind.group.empty() ? fmt::format("api/{}", kind.version)
                            : fmt::format("apis/{}/{}", kind.group, kind.version);
}

/// FNV-1a over what a document is made of: far cheaper than making it.
class ContentHash {
 public:
  void add(std::string_view text) {
    for (char c : text) step(static_cast<unsigned char>(c));
    step(0);
  }
  void add(const Field& field) {
    add(field.name);
    for (int number : {static_cast<int>(field.type), static_cast<int>(field.list_type),
                       static_cast<int>(field.required), static_cast<int>(field.patch_merge)})
      step(static_cast<unsigned char>(number));
    for (std::string_view value : field.enum_values) add(value);
    if (field.default_value != nullptr) add(canonical_json(*field.default_value));
    if (field.item != nullptr) add(*field.item);
    if (field.object != nullptr) add(*field.object);
  }
  void add(const Struct& schema) {
    add(schema.name);
    if (!seen_.insert(&schema).second) return;
    for (const Field& field : schema.fields) add(field);
  }
  void add(const Kind& kind) {
    add(kind.kind);
    add(kind.plural);
    for (std::string_view verb : kind.verbs) add(verb);
    for (const Subresource& sub : kind.subresources) add(sub.name);
    add(*kind.schema);
  }
  std::string text() const { return fmt::format("{:016X}", hash_); }

 private:
  void step(unsigned char byte) {
    hash_ ^= byte;
    hash_ *= 0x100000001b3;
  }
  uint64_t hash_ = 0xcbf29ce484222325;
  std::set<const Struct*> seen_;
};

bool belongs(const Kind& kind, std::string_view group, std::string_view version) {
  return kind.group == group && kind.version == version;
}

}  // namespace

Json openapi_v3_index(const Registry& registry) {
  JsonObject paths;
  for (const Kind* kind : registry.kinds()) {
    const std::string path = document_path(*kind);
    if (kind->plural.empty() || paths.contains(path)) continue;
    ContentHash hash;
    for (const Kind* other : registry.kinds())
      if (belongs(*other, kind->group, kind->version)) hash.add(*other);
    paths[path] =
        JsonObject{{"serverRelativeURL", fmt::format("/openapi/v3/{}?hash={}", path, hash.text())}};
  }
  return JsonObject{{"paths", std::move(paths)}};
}

Result<Json> openapi_v3(const Registry& registry, std::string_view group,
                        std::string_view version) {
  OpenApiSchemas schemas(OpenApiVersion::kV3);
  JsonObject paths;
  for (const Kind* kind : registry.kinds()) {
    if (!belongs(*kind, group, version) || kind->plural.empty()) continue;
    schemas.add_kind(*kind);
    schemas.add_list(*kind);
    if (const Struct* list_meta = registry.find_struct("meta.v1.ListMeta")) schemas.add(*list_meta);
    add_openapi_paths(*kind, OpenApiVersion::kV3, paths);
    for (const Subresource& sub : kind->subresources)
      for (const Kind* body : registry.kinds())
        if (body->kind == sub.kind && belongs(*body, sub.group, sub.version))
          schemas.add_kind(*body);
  }
  if (paths.empty())
    return fail(ErrorCode::kNotFound, fmt::format("there is no API `{}/{}`", group, version));
  return Json{{"openapi", "3.0.0"},
              {"info", document_info()},
              {"paths", std::move(paths)},
              {"components", JsonObject{{"schemas", schemas.take()}}}};
}

Json openapi_v2(const Registry& registry) {
  OpenApiSchemas schemas(OpenApiVersion::kV2);
  JsonObject paths;
  for (const Kind* kind : registry.kinds()) {
    schemas.add_kind(*kind);
    if (kind->plural.empty()) continue;
    schemas.add_list(*kind);
    add_openapi_paths(*kind, OpenApiVersion::kV2, paths);
  }
  return {{"swagger", "2.0"},
          {"info", document_info()},
          {"paths", std::move(paths)},
          {"definitions", schemas.take()}};
}

}  // namespace berth::objects
