#include "apiserver/api/scale.h"

#include <string>

#include "objects/selector.h"

namespace berth::apiserver {

using objects::find_int;

Json scale_of(const objects::Kind&, const Json& object) {
  JsonObject metadata;
  for (const std::string_view key :
       {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
    if (const Json* value = objects::find(object, {"metadata", key})) metadata[key] = *value;
  }
  JsonObject status{{"replicas", find_int(object, {"status", "replicas"})}};
  if (const Json* selector = objects::find(object, {"spec", "selector"})) {
    if (const auto parsed = objects::LabelSelector::from_json(*selector)) {
      status["selector"] = parsed->to_string();
    }
  }
  return JsonObject{{"apiVersion", "autoscaling/v1"},
                    {"kind", "Scale"},
                    {"metadata", std::move(metadata)},
                    {"spec", JsonObject{{"replicas", find_int(object, {"spec", "replicas"})}}},
                    {"status", std::move(status)}};
}

Answer<Json> with_scale(const Subject& subject, const Json& object, const Json& scale) {
  const Json* replicas = objects::find(scale, {"spec", "replicas"});
  const int64_t count = find_int(scale, {"spec", "replicas"}, replicas == nullptr ? 0 : -1);
  if (count < 0) {
    return invalid(*subject.kind, subject.name,
                   {{objects::Issue::Kind::kInvalid,
                     "spec.replicas",
                     "must be a number that is not negative",
                     {}}});
  }
  Json scaled = object;
  objects::ensure_object(scaled, {"spec"})["replicas"] = count;
  // What the client saw is what counts for conflicts.
  const std::string_view version = objects::resource_version_of(scale);
  if (!version.empty()) objects::ensure_object(scaled, {"metadata"})["resourceVersion"] = version;
  return scaled;
}

}  // namespace berth::apiserver
