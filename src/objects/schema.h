#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "objects/json.h"

namespace berth::objects {

/// What a value may be. Every scalar type is JSON text of one spelling; `kObject` has fields,
/// `kMap` has string keys, `kAny` is kept as it is and not looked into.
enum class Type : uint8_t {
  kString,
  kInt32,
  kInt64,
  kDouble,
  kBool,
  kQuantity,
  kIntOrString,
  kTime,
  kMicroTime,
  kDuration,
  kBytes,
  kObject,
  kMap,
  kList,
  kAny,
};

/// How two versions of a list are merged (`x-kubernetes-list-type`).
enum class ListType : uint8_t { kAtomic, kSet, kMap };

/// A spelling rule for strings, checked by validate.h.
enum class Format : uint8_t {
  kNone,
  kDnsLabel,       ///< RFC 1123 label: a container's or a volume's name
  kDnsSubdomain,   ///< RFC 1123 subdomain: a reference to an object
  kQualifiedName,  ///< an optional DNS prefix and a name: label keys, resource names
  kLabelValue,
  kPort,      ///< a number from 1 to 65535
  kPortName,  ///< IANA_SVC_NAME
  kIp,
  kEnvName,
  kAbsolutePath,
  kGoDuration,
  kLabels,       ///< a map of label keys and values
  kAnnotations,  ///< a map with label keys
  kResources,    ///< a map of resource names to quantities that are not negative
  kConfigKeys,   ///< a map with ConfigMap keys
};

struct Struct;
struct SchemaPart;

/// One row of the schema table.
struct Field {
  std::string_view name;  ///< in JSON; empty for the item of a list or map
  Type type = Type::kAny;
  ListType list_type = ListType::kAtomic;
  Format format = Format::kNone;
  bool required = false;
  bool immutable = false;          ///< may be set, but not changed or removed, on update
  bool patch_merge = false;        ///< strategic merge patch merges this list
  bool patch_retain_keys = false;  ///< and `$retainKeys` removes what it does not name
  bool atomic = false;             ///< a map replaced as one by server-side apply
  bool nullable = false;           ///< null is a value, not an absence (user-defined kinds)
  bool may_repeat = false;         ///< a list with keys that takes two items with equal ones
  uint16_t number = 0;             ///< of the protobuf field; 0: has none
  uint16_t outer_number = 0;       ///< of the embedded message that holds it; 0: not embedded
  const Field* item = nullptr;     ///< of a list or map
  const Struct* object = nullptr;  ///< of an object
  std::vector<std::string_view> list_keys;
  std::string_view merge_key;                 ///< of a strategic merge
  std::vector<std::string_view> enum_values;  ///< empty: any value
  std::optional<int64_t> minimum, maximum;    ///< of a number
  uint32_t min_items = 0;
  const Json* default_value = nullptr;
};

/// An object's fields, in the order of their names.
struct Struct {
  std::string_view name;  ///< "core.v1.Container"
  std::vector<Field> fields;
  bool preserve_unknown = false;
  bool atomic = false;  ///< replaced as one by server-side apply

  const Field* find(std::string_view field) const;
};

/// A column of `kubectl get`. The cell is read from the JSON path, or computed by the hook of that
/// name (table.h).
struct Column {
  std::string_view name;
  std::string_view type;  ///< "string", "integer", "date", "boolean"
  std::string_view path;  ///< ".spec.replicas"; empty when `hook` is set
  std::string_view hook;
  int priority = 0;  ///< 0: always shown, 1: with -o wide
  std::string_view description;
};

struct Subresource {
  std::string_view name;     ///< "status", "scale", "binding"
  std::string_view kind;     ///< of the body: "Scale"; the parent's own for "status"
  std::string_view group;    ///< of that kind
  std::string_view version;  ///< of that kind
  std::vector<std::string_view> verbs;
};

enum class NameRule : uint8_t { kDnsSubdomain, kDnsLabel, kDnsLabel1035, kPathSegment };

/// A kind in one version.
struct Kind {
  std::string_view group;  ///< "" is the core group
  std::string_view version;
  std::string_view kind;
  std::string_view plural;  ///< empty: only a body of others' subresources (Scale, Eviction)
  std::string_view singular;
  std::vector<std::string_view> short_names;
  std::vector<std::string_view> categories;
  bool namespaced = true;
  std::vector<std::string_view> verbs;
  std::vector<Subresource> subresources;
  std::vector<Column> columns;
  /// Beside `metadata.name` and `metadata.namespace`, which every kind has.
  std::vector<std::string_view> selectable_fields;
  NameRule name_rule = NameRule::kDnsSubdomain;
  const Struct* schema = nullptr;

  /// "v1", "apps/v1".
  std::string api_version() const;
  const Subresource* find_subresource(std::string_view name) const;
  bool has_verb(std::string_view verb) const;
};

/// All kinds that a server or a client knows. Kinds are added at start and, for user-defined ones,
/// later; `Kind`, `Struct` and `Field` pointers stay valid as long as the registry.
/// Threads: lookups may run at once; adding needs that no lookup runs.
class Registry {
 public:
  /// The kinds that Berth serves: Kubernetes' own, Queue, PodGroup, BerthConfiguration, metrics.
  static std::unique_ptr<Registry> built_in();

  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  const Kind* find(std::string_view group, std::string_view version, std::string_view plural) const;
  /// By `apiVersion` and `kind`, as an object spells them.
  const Kind* find_kind(std::string_view api_version, std::string_view kind) const;
  /// By what a person types: plural, singular, short name or kind, with an optional `.group`
  /// suffix; case is ignored. Null when nothing has that name.
  const Kind* find_alias(std::string_view word) const;
  /// In the order of their addition.
  const std::vector<const Kind*>& kinds() const { return kinds_; }
  const Struct* find_struct(std::string_view name) const;

  /// Adds the kinds and structs of a schema text (its grammar is in schema/text.h). The text is
  /// copied. Fails without a change when a line cannot be read or a struct is missing.
  Result<> add(std::string_view text);

 private:
  friend class SchemaReader;

  std::vector<std::unique_ptr<SchemaPart>> parts_;
  std::vector<const Kind*> kinds_;
  std::unordered_map<std::string_view, const Struct*> struct_by_name_;
};

/// What kinds have in common, read from an object.
std::string_view api_version_of(const Json& object);
std::string_view kind_of(const Json& object);
std::string_view name_of(const Json& object);
std::string_view namespace_of(const Json& object);
std::string_view uid_of(const Json& object);
std::string_view resource_version_of(const Json& object);

}  // namespace berth::objects
