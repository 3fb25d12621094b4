#include "controllers/view.h"

#include <utility>

namespace berth::controllers {
namespace {

std::vector<OwnerRef> read_owners(const Json& json) {
  std::vector<OwnerRef> owners;
  for (const Json& owner : objects::find_array(json, {"metadata", "ownerReferences"})) {
    owners.push_back({std::string(objects::find_string(owner, {"apiVersion"})),
                      std::string(objects::find_string(owner, {"kind"})),
                      std::string(objects::find_string(owner, {"name"})),
                      std::string(objects::find_string(owner, {"uid"})),
                      objects::find_bool(owner, {"controller"}),
                      objects::find_bool(owner, {"blockOwnerDeletion"})});
  }
  return owners;
}

SharedJson only_metadata(const Json& json) {
  JsonObject kept;
  for (std::string_view key : {"apiVersion", "kind", "metadata"}) {
    if (const Json* value = objects::find(json, {key})) kept[key] = *value;
  }
  if (JsonObject* metadata = kept["metadata"].if_object()) metadata->erase("managedFields");
  return std::make_shared<const Json>(std::move(kept));
}

}  // namespace

Result<Object> Object::read(Kind kind, SharedJson json) {
  Object object;
  object.key = {kind, std::string(objects::find_string(*json, {"metadata", "namespace"})),
                std::string(objects::find_string(*json, {"metadata", "name"}))};
  object.uid = objects::find_string(*json, {"metadata", "uid"});
  if (object.key.name.empty() || object.uid.empty()) {
    return fail(ErrorCode::kInvalid, "an object without name or uid", to_string(object.key));
  }
  object.resource_version = objects::find_string(*json, {"metadata", "resourceVersion"});
  object.owners = read_owners(*json);
  object.deleting = !objects::find_string(*json, {"metadata", "deletionTimestamp"}).empty();
  const auto created = parse_time(objects::find_string(*json, {"metadata", "creationTimestamp"}));
  if (created) object.created = *created;
  object.json = row(kind).metadata_only ? only_metadata(*json) : std::move(json);
  return object;
}

const OwnerRef* Object::controller() const {
  for (const OwnerRef& owner : owners) {
    if (owner.controller) return &owner;
  }
  return nullptr;
}

bool Object::has_finalizer(std::string_view finalizer) const {
  for (const Json& entry : objects::find_array(*json, {"metadata", "finalizers"})) {
    if (entry.is_string() && entry.get_string() == finalizer) return true;
  }
  return false;
}

std::string_view Object::label(std::string_view name, std::string_view fallback) const {
  return objects::find_string(*json, {"metadata", "labels", name}, fallback);
}

std::string_view Object::annotation(std::string_view name, std::string_view fallback) const {
  return objects::find_string(*json, {"metadata", "annotations", name}, fallback);
}

ObjectPtr View::put(ObjectPtr object) {
  ObjectPtr before = take(object->key);
  if (object->key.kind == Kind::kNode) lost_nodes_.erase(object->key);
  by_uid_[object->uid] = object;
  if (object->controller() == nullptr) uncontrolled_.insert(object->key);
  for (const OwnerRef& owner : object->owners) by_owner_[owner.uid].insert(object->key);
  objects_[object->key] = std::move(object);
  return before;
}

ObjectPtr View::remove(const Key& key, Time now) {
  if (key.kind == Kind::kNode) lost_nodes_[key] = now;
  return take(key);
}

Time View::absent_since(const Key& node) const {
  const auto at = lost_nodes_.find(node);
  return at == lost_nodes_.end() ? began_ : at->second;
}

ObjectPtr View::take(const Key& key) {
  const auto at = objects_.find(key);
  if (at == objects_.end()) return nullptr;
  ObjectPtr before = std::move(at->second);
  objects_.erase(at);
  unindex(*before);
  return before;
}

void View::unindex(const Object& object) {
  by_uid_.erase(object.uid);
  uncontrolled_.erase(object.key);
  for (const OwnerRef& owner : object.owners) {
    const auto at = by_owner_.find(owner.uid);
    if (at == by_owner_.end()) continue;
    at->second.erase(object.key);
    if (at->second.empty()) by_owner_.erase(at);
  }
}

ObjectPtr View::find(const Key& key) const {
  const auto at = objects_.find(key);
  return at == objects_.end() ? nullptr : at->second;
}

ObjectPtr View::find_uid(std::string_view uid) const {
  const auto at = by_uid_.find(uid);
  return at == by_uid_.end() ? nullptr : at->second;
}

std::vector<ObjectPtr> View::list(Kind kind, std::string_view ns) const {
  std::vector<ObjectPtr> found;
  for (auto at = objects_.lower_bound(Key{kind, std::string(ns), {}}); at != objects_.end(); ++at) {
    if (at->first.kind != kind || (!ns.empty() && at->first.ns != ns)) break;
    found.push_back(at->second);
  }
  return found;
}

std::vector<ObjectPtr> View::dependents(std::string_view owner_uid) const {
  std::vector<ObjectPtr> found;
  const auto at = by_owner_.find(owner_uid);
  if (at == by_owner_.end()) return found;
  for (const Key& key : at->second) found.push_back(objects_.at(key));
  return found;
}

std::vector<ObjectPtr> View::orphans(Kind kind, std::string_view ns) const {
  std::vector<ObjectPtr> found;
  for (auto at = uncontrolled_.lower_bound(Key{kind, std::string(ns), {}});
       at != uncontrolled_.end() && at->kind == kind && at->ns == ns; ++at) {
    found.push_back(objects_.at(*at));
  }
  return found;
}

std::vector<ObjectPtr> View::controlled(std::string_view owner_uid, Kind kind) const {
  std::vector<ObjectPtr> found;
  for (ObjectPtr& object : dependents(owner_uid)) {
    const OwnerRef* controller = object->controller();
    if (object->key.kind == kind && controller != nullptr && controller->uid == owner_uid) {
      found.push_back(std::move(object));
    }
  }
  return found;
}

Result<platform::ModelHeader> View::model_header(const std::string& path) const {
  if (!read_model_) return fail(ErrorCode::kUnsupported, "models are read by nobody here");
  return read_model_(path);
}

VerdictPtr View::verdict(const Key& key) const {
  const auto found = verdicts_.find(key);
  return found == verdicts_.end() ? nullptr : found->second;
}

void View::set_verdict(const Key& key, VerdictPtr verdict) {
  if (verdict) {
    verdicts_[key] = std::move(verdict);
  } else {
    verdicts_.erase(key);
  }
}

std::string_view View::failure(const Key& key) const {
  const auto at = failures_.find(key);
  return at == failures_.end() ? std::string_view() : std::string_view(at->second);
}

std::vector<Key> View::failing(Kind kind, std::string_view ns) const {
  std::vector<Key> keys;
  for (const auto& [key, message] : failures_) {
    if (key.kind == kind && key.ns == ns) keys.push_back(key);
  }
  return keys;
}

void View::set_failure(const Key& key, std::string message) {
  failures_[key] = std::move(message);
}

void View::clear_failure(const Key& key) {
  failures_.erase(key);
}

}  // namespace berth::controllers
