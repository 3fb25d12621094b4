#include "controllers/write.h"

#include <utility>

#include "objects/patch.h"

namespace berth::controllers {

void Outcome::look_again(Time at) {
  if (!again_at || at < *again_at) again_at = at;
}

Write create(Kind kind, std::string ns, Json object) {
  Write write;
  write.verb = Write::Verb::kCreate;
  write.key = {kind, std::move(ns),
               std::string(objects::find_string(object, {"metadata", "name"}))};
  objects::ensure_object(object, {})["apiVersion"] = row(kind).api_version;
  object.get_object()["kind"] = row(kind).name;
  if (!write.key.ns.empty())
    objects::ensure_object(object, {"metadata"})["namespace"] = write.key.ns;
  write.body = std::move(object);
  return write;
}

Write patch_blind(const Object& object, Json change) {
  Write write;
  write.verb = Write::Verb::kPatch;
  write.key = object.key;
  write.uid = object.uid;
  write.body = std::move(change);
  // A patch that names the uid fails on a successor of the same name.
  objects::ensure_object(write.body, {"metadata"})["uid"] = object.uid;
  return write;
}

Write patch(const Object& object, Json change) {
  Write write = patch_blind(object, std::move(change));
  objects::ensure_object(write.body, {"metadata"})["resourceVersion"] = object.resource_version;
  return write;
}

Write patch_status_blind(const Object& object, Json status) {
  Write write = patch_blind(object, JsonObject{{"status", std::move(status)}});
  write.verb = Write::Verb::kPatchStatus;
  return write;
}

Write patch_status(const Object& object, Json status) {
  Write write = patch(object, JsonObject{{"status", std::move(status)}});
  write.verb = Write::Verb::kPatchStatus;
  return write;
}

std::optional<Write> patch_status_to(const Object& object, const JsonObject& wanted) {
  Json change =
      objects::merge_patch_between(objects::find_object(*object.json, {"status"}), wanted);
  if (change.is_object() && change.get_object().empty()) return std::nullopt;
  return patch_status(object, std::move(change));
}

Write scale(const Object& object, int64_t replicas) {
  Write write;
  write.verb = Write::Verb::kPatchScale;
  write.key = object.key;
  write.uid = object.uid;
  write.body = JsonObject{{"spec", JsonObject{{"replicas", replicas}}}};
  return write;
}

Write remove(const Object& object, std::string propagation) {
  Write write;
  write.verb = Write::Verb::kDelete;
  write.key = object.key;
  write.uid = object.uid;
  write.propagation = std::move(propagation);
  return write;
}

Write drop_finalizer(const Object& object, std::string_view finalizer) {
  JsonArray kept;
  for (const Json& entry : objects::find_array(*object.json, {"metadata", "finalizers"})) {
    if (!entry.is_string() || entry.get_string() != finalizer) kept.push_back(entry);
  }
  return patch(object, JsonObject{{"metadata", JsonObject{{"finalizers", std::move(kept)}}}});
}

Json owner_reference(const Object& owner) {
  const KindRow& kind = row(owner.key.kind);
  return JsonObject{{"apiVersion", kind.api_version},
                    {"kind", kind.name},
                    {"name", owner.key.name},
                    {"uid", owner.uid},
                    {"controller", true},
                    {"blockOwnerDeletion", true}};
}

}  // namespace berth::controllers
