#pragma once

#include <set>
#include <string>
#include <string_view>

#include "objects/json.h"
#include "objects/schema.h"

namespace berth::objects {

enum class OpenApiVersion { kV2, kV3 };

/// Kubernetes' name of a struct: "io.k8s.api.core.v1.Pod".
std::string openapi_name(std::string_view struct_name);

/// Collects the schemas of structs and of all that they refer to.
class OpenApiSchemas {
 public:
  explicit OpenApiSchemas(OpenApiVersion version) : version_(version) {}

  /// With its `x-kubernetes-group-version-kind`.
  void add_kind(const Kind& kind);
  /// With the schema of its list.
  void add_list(const Kind& kind);
  void add(const Struct& schema);

  JsonObject take() { return std::move(schemas_); }
  Json reference(std::string_view openapi_name) const;

 private:
  JsonObject struct_schema(const Struct& schema);
  JsonObject field_schema(const Field& field);
  JsonObject type_schema(const Field& field);
  void add_kind_mark(std::string_view name, const Kind& kind, std::string_view kind_name);
  /// A schema that the API names but that is no struct: Quantity, Time, IntOrString.
  Json special(std::string_view name, JsonObject schema);

  OpenApiVersion version_;
  JsonObject schemas_;
};

/// `[{group, version, kind}]`, as `x-kubernetes-group-version-kind` holds it.
JsonObject group_version_kind(std::string_view group, std::string_view version,
                              std::string_view kind);

/// The `paths` of one kind, with the PATCH parameters that kubectl looks for.
void add_openapi_paths(const Kind& kind, OpenApiVersion version, JsonObject& paths);

}  // namespace berth::objects
