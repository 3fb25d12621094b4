#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "objects/names.h"
#include "objects/validate/rules.h"

// Source: k8s.io/kubernetes/pkg/apis/{scheduling,rbac,core}/validation and
// k8s.io/apimachinery/pkg/api/validation.

namespace berth::objects {
namespace {

void object_meta(const JsonObject& object, IssueSink& sink) {
  constexpr size_t kMaxAnnotationBytes = 256 * 1024;
  size_t bytes = 0;
  for (const auto& [key, value] : object_of(object, "annotations"))
    bytes += key.size() + (value.is_string() ? value.get_string().size() : 0);
  if (bytes > kMaxAnnotationBytes)
    sink.add(Issue::Kind::kTooLong, "annotations",
             fmt::format("hold {} bytes, {} are allowed", bytes, kMaxAnnotationBytes), "");
  const JsonArray& finalizers = array_of(object, "finalizers");
  const PathScope scope(sink.path, "finalizers");
  static constexpr std::array<std::string_view, 3> kStandard = {"orphan", "foregroundDeletion",
                                                                "kubernetes"};
  for (size_t i = 0; i < finalizers.size(); ++i) {
    if (!finalizers[i].is_string()) continue;
    const std::string_view name = finalizers[i].get_string();
    const PathScope item(sink.path, i);
    if (const auto wrong = check_qualified_name(name))
      sink.add(Issue::Kind::kInvalid, fmt::format("`{}` {}", name, *wrong));
    else if (name.find('/') == std::string_view::npos &&
             std::ranges::find(kStandard, name) == kStandard.end())
      sink.add(Issue::Kind::kInvalid, fmt::format("`{}` must have a domain", name),
               "as in `example.com/name`");
  }
}

void owner_reference(const JsonObject& object, IssueSink& sink) {
  if (text_of(object, "apiVersion") == "v1" && text_of(object, "kind") == "Event")
    sink.add(Issue::Kind::kInvalid, "kind", "an Event cannot own an object", "");
}

void priority_class(const JsonObject& object, IssueSink& sink) {
  constexpr int64_t kHighestUserPriority = 1'000'000'000;
  const Json* value = member(object, "value");
  const bool system = text_of(object_of(object, "metadata"), "name").starts_with("system-");
  if (value != nullptr && value->is_int64() && value->get_int64() > kHighestUserPriority && !system)
    sink.add(Issue::Kind::kForbidden, "value",
             fmt::format("must be at most {}", kHighestUserPriority),
             "higher values are for Berth's own classes");
}

void role_ref(const JsonObject& object, IssueSink& sink) {
  const std::string_view group = text_of(object, "apiGroup");
  if (group != "rbac.authorization.k8s.io")
    sink.add(Issue::Kind::kNotSupported, "apiGroup", fmt::format("`{}` is not supported", group),
             "use rbac.authorization.k8s.io");
}

void policy_rule(const JsonObject& object, IssueSink& sink) {
  const bool resources = !array_of(object, "resources").empty();
  const bool urls = !array_of(object, "nonResourceURLs").empty();
  if (resources && urls)
    sink.add(Issue::Kind::kInvalid, "nonResourceURLs", "cannot be used with `resources`",
             "write two rules");
  if (resources && array_of(object, "apiGroups").empty())
    sink.add(Issue::Kind::kRequired, "apiGroups", "must be set for rules of resources",
             "use [\"\"] for the core group");
  if (!resources && !urls)
    sink.add(Issue::Kind::kRequired, "resources", "must be set", "name at least one resource");
}

void taint(const JsonObject& object, IssueSink& sink) {
  if (text_of(object, "effect").empty() || !text_of(object, "key").empty()) return;
  sink.add(Issue::Kind::kRequired, "key", "must be set", "");
}

}  // namespace

ValueRule policy_value_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, ValueRule> kRules = {
      {"core.v1.Taint", taint},
      {"meta.v1.ObjectMeta", object_meta},
      {"meta.v1.OwnerReference", owner_reference},
      {"rbac.v1.PolicyRule", policy_rule},
      {"rbac.v1.RoleRef", role_ref},
      {"scheduling.v1.PriorityClass", priority_class},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

}  // namespace berth::objects
