#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"
#include "objects/yaml.h"

namespace berth::objects {

/// What is wrong with one field of an object.
struct Issue {
  enum class Kind {
    kUnknownField,    ///< strict decoding only
    kDuplicateField,  ///< strict decoding only
    kWrongType,       ///< cannot be decoded (HTTP 400)
    kRequired,        ///< the rest: HTTP 422, a cause each
    kInvalid,
    kNotSupported,  ///< not one of the values
    kDuplicate,
    kForbidden,
    kTooLong,
  };
  Kind kind = Kind::kInvalid;
  std::string path;  ///< "spec.containers[0].image"; "" is the object itself
  std::string what;  ///< "`image` is missing"
  std::string fix;   ///< may be empty

  /// `path: what; fix`
  std::string to_string() const;
  bool operator==(const Issue&) const = default;
};

/// Kubernetes' name of it in `details.causes[].reason`: "FieldValueRequired", ...
std::string_view cause_reason(Issue::Kind kind);

using Issues = std::vector<Issue>;

/// How the server treats unknown and duplicate fields (the `fieldValidation` parameter).
enum class FieldValidation { kStrict, kWarn, kIgnore };
Result<FieldValidation> parse_field_validation(std::string_view text);

/// Unknown fields (with what was probably meant) and values of the wrong type.
Issues check_shape(const Kind& kind, const Json& object);

/// Required fields, enums, ranges, names, and the rules between fields that the kind has. Give it a
/// defaulted object. `for_create`: `metadata.name` may be missing where `generateName` is set.
Issues check_values(const Kind& kind, const Json& object);

/// What may not change between two versions of an object.
Issues check_update(const Kind& kind, const Json& before, const Json& after);

/// Shape and values at once, for manifests: an unknown field that was probably meant as another one
/// silences what is said about that other one, and a value of the wrong type what is said below it.
/// Sorted by path. `object` need not be defaulted.
Issues check_all(const Kind& kind, const Json& object);

struct Prepared {
  Json object;                        ///< pruned, defaulted, canonical; null when not decodable
  Issues undecodable;                 ///< HTTP 400
  Issues invalid;                     ///< HTTP 422
  std::vector<std::string> warnings;  ///< for `Warning:` headers
  bool ok() const { return undecodable.empty() && invalid.empty(); }
};

/// What the API server does with the body of a write, in its order: shape, pruning, defaults,
/// values and, where `before` is given, changes. `duplicates` are those of the body's text.
Prepared prepare(const Kind& kind, Json body, FieldValidation mode,
                 const std::vector<DuplicateKey>& duplicates = {}, const Json* before = nullptr);

/// Every error of one document of a manifest, each at its `file:line:column`. Empty: it is good.
/// Also answers a missing or unknown `apiVersion` or `kind`.
std::vector<Error> check_manifest(const Registry& registry, const YamlDocument& document,
                                  std::string_view file);

}  // namespace berth::objects
