#include <algorithm>
#include <array>
#include <unordered_map>

#include <fmt/format.h>

#include "objects/json_text.h"
#include "objects/validate/issues.h"
#include "objects/validate/rules.h"

// Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go and the ValidateXUpdate functions of
// k8s.io/kubernetes/pkg/apis.

namespace berth::objects {
namespace {

bool same(const Json* a, const Json* b) {
  const bool no_a = a == nullptr || a->is_null(), no_b = b == nullptr || b->is_null();
  if (no_a || no_b) return no_a == no_b;
  return canonical_json(*a) == canonical_json(*b);
}

void immutable_field(std::string_view name, IssueSink& sink) {
  sink.add(Issue::Kind::kForbidden, name, "cannot be changed",
           "delete the object and create it anew");
}

/// Fields that the table calls immutable.
class ImmutableCheck {
 public:
  explicit ImmutableCheck(IssueSink& sink) : sink_(sink) {}

  void check(const Struct& schema, const JsonObject& before, const JsonObject& after) {
    for (const Field& field : schema.fields) {
      const Json* old_value = member(before, field.name);
      const Json* new_value = member(after, field.name);
      if (field.immutable && old_value != nullptr && !same(old_value, new_value))
        immutable_field(field.name, sink_);
      if (field.type != Type::kObject || field.immutable || old_value == nullptr ||
          new_value == nullptr || !old_value->is_object() || !new_value->is_object())
        continue;
      const PathScope scope(sink_.path, field.name);
      check(*field.object, old_value->get_object(), new_value->get_object());
    }
  }

 private:
  IssueSink& sink_;
};

void check_metadata_update(const Json& before, const Json& after, IssueSink& sink) {
  const PathScope scope(sink.path, "metadata");
  const JsonObject& old_meta = find_object(before, {"metadata"});
  const JsonObject& new_meta = find_object(after, {"metadata"});
  for (std::string_view key : {"name", "namespace", "uid", "creationTimestamp"})
    if (member(old_meta, key) != nullptr && member(new_meta, key) != nullptr &&
        !same(member(old_meta, key), member(new_meta, key)))
      sink.add(Issue::Kind::kInvalid, key, "cannot be changed", "");
}

/// A pod's spec without what may change: images, deadlines, added tolerations, removed gates.
Json fixed_part(const Json& pod) {
  Json spec = find_object(pod, {"spec"});
  JsonObject& members = spec.get_object();
  for (std::string_view key : {"activeDeadlineSeconds", "tolerations", "schedulingGates",
                               "terminationGracePeriodSeconds", "ephemeralContainers"})
    members.erase(key);
  for (std::string_view list : {"containers", "initContainers"})
    if (Json* containers = members.if_contains(list);
        containers != nullptr && containers->is_array())
      for (Json& container : containers->get_array())
        if (JsonObject* object = container.if_object()) object->erase("image");
  return spec;
}

void pod_update(const Json& before, const Json& after, IssueSink& sink) {
  const PathScope scope(sink.path, "spec");
  const JsonObject& old_spec = find_object(before, {"spec"});
  const JsonObject& new_spec = find_object(after, {"spec"});
  const Json old_fixed = fixed_part(before), new_fixed = fixed_part(after);
  for (const auto& [key, value] : old_fixed.get_object())
    if (!same(&value, new_fixed.get_object().if_contains(key)))
      sink.add(Issue::Kind::kForbidden, key, "of a pod cannot be changed",
               "delete the pod and create it anew, or change CPU and memory through `resize`");
  for (const auto& [key, value] : new_fixed.get_object())
    if (!old_fixed.get_object().contains(key) && !value.is_null())
      sink.add(Issue::Kind::kForbidden, key, "cannot be set on a pod that exists", "");
  const JsonArray& tolerations = array_of(new_spec, "tolerations");
  for (const Json& old_toleration : array_of(old_spec, "tolerations"))
    if (std::ranges::none_of(tolerations, [&](const Json& t) { return same(&t, &old_toleration); }))
      sink.add(Issue::Kind::kForbidden, "tolerations", "of a pod cannot be changed or removed",
               "only added");
  const JsonArray& gates = array_of(old_spec, "schedulingGates");
  for (const Json& gate : array_of(new_spec, "schedulingGates"))
    if (std::ranges::none_of(gates, [&](const Json& g) { return same(&g, &gate); }))
      sink.add(Issue::Kind::kForbidden, "schedulingGates", "of a pod can only be removed", "");
}

void config_update(const Json& before, const Json& after, IssueSink& sink) {
  if (!find_bool(before, {"immutable"})) return;
  for (std::string_view key : {"data", "binaryData", "immutable"})
    if (!same(find(before, {key}), find(after, {key})))
      sink.add(Issue::Kind::kForbidden, key, "cannot be changed: the object is immutable",
               "create another one under a new name");
}

void service_update(const Json& before, const Json& after, IssueSink& sink) {
  const std::string_view old_ip = find_string(before, {"spec", "clusterIP"});
  const std::string_view new_ip = find_string(after, {"spec", "clusterIP"});
  if (old_ip.empty() || old_ip == new_ip || new_ip.empty()) return;
  if (find_string(after, {"spec", "type"}) == "ExternalName") return;
  const PathScope scope(sink.path, "spec");
  immutable_field("clusterIP", sink);
}

void job_update(const Json& before, const Json& after, IssueSink& sink) {
  const PathScope scope(sink.path, "spec");
  const Json* old_count = find(before, {"spec", "completions"});
  const Json* new_count = find(after, {"spec", "completions"});
  const bool elastic = find_string(after, {"spec", "completionMode"}) == "Indexed" &&
                       same(new_count, find(after, {"spec", "parallelism"}));
  if (!same(old_count, new_count) && !elastic)
    sink.add(Issue::Kind::kInvalid, "completions", "cannot be changed",
             "except in an indexed Job, together with `parallelism`");
  // While a Job is suspended and nothing of it ran, a queue may still steer where it goes.
  const bool startable =
      find_bool(before, {"spec", "suspend"}) && find(before, {"status", "startTime"}) == nullptr;
  if (!startable && !same(find(before, {"spec", "template"}), find(after, {"spec", "template"})))
    immutable_field("template", sink);
}

}  // namespace

UpdateRule update_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, UpdateRule> kRules = {
      {"batch.v1.Job", job_update},        {"core.v1.ConfigMap", config_update},
      {"core.v1.Pod", pod_update},         {"core.v1.Secret", config_update},
      {"core.v1.Service", service_update},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

Issues check_update(const Kind& kind, const Json& before, const Json& after) {
  IssueSink sink;
  check_metadata_update(before, after, sink);
  if (before.is_object() && after.is_object())
    ImmutableCheck(sink).check(*kind.schema, before.get_object(), after.get_object());
  if (const UpdateRule rule = update_rule(kind.schema->name)) rule(before, after, sink);
  return sink.take();
}

}  // namespace berth::objects
