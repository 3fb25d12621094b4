#include "controllers/upkeep/garbage.h"

#include <set>
#include <utility>

namespace berth::controllers {
namespace {

const OwnerRef* reference_to(const Object& dependent, std::string_view owner_uid) {
  for (const OwnerRef& owner : dependent.owners) {
    if (owner.uid == owner_uid) return &owner;
  }
  return nullptr;
}

Json without_owners(const Object& dependent, const std::set<std::string>& uids) {
  JsonArray kept;
  for (const Json& owner : objects::find_array(*dependent.json, {"metadata", "ownerReferences"})) {
    if (!uids.contains(std::string(objects::find_string(owner, {"uid"})))) kept.push_back(owner);
  }
  return JsonObject{{"metadata", JsonObject{{"ownerReferences", std::move(kept)}}}};
}

/// Does `from` own `uid`, directly or through others? Then waiting for it would never end.
bool owns(const View& view, const Object& from, const std::string& uid,
          std::set<std::string>& seen) {
  if (!seen.insert(from.uid).second) return false;
  for (const ObjectPtr& dependent : view.dependents(from.uid)) {
    if (dependent->uid == uid || owns(view, *dependent, uid, seen)) return true;
  }
  return false;
}

/// Is there an owner, other than `except`, for whose sake the dependent stays?
bool has_other_owner(const View& view, const Object& dependent, const std::string& except) {
  for (const OwnerRef& owner : dependent.owners) {
    if (owner.uid == except) continue;
    if (!kind_of(owner.api_version, owner.kind)) return true;
    const ObjectPtr found = view.find_uid(owner.uid);
    if (found != nullptr && !(found->deleting && found->has_finalizer(kForegroundFinalizer))) {
      return true;
    }
  }
  return false;
}

Outcome delete_in_foreground(const View& view, const Object& owner) {
  Outcome outcome;
  bool blocked = false;
  for (const ObjectPtr& dependent : view.dependents(owner.uid)) {
    if (has_other_owner(view, *dependent, owner.uid)) {
      outcome.writes.push_back(patch(*dependent, without_owners(*dependent, {owner.uid})));
      continue;
    }
    if (!dependent->deleting) {
      const bool has_dependents = !view.dependents(dependent->uid).empty();
      outcome.writes.push_back(remove(*dependent, has_dependents ? "Foreground" : "Background"));
    }
    std::set<std::string> seen;
    if (reference_to(*dependent, owner.uid)->blocks_deletion &&
        !owns(view, *dependent, owner.uid, seen)) {
      blocked = true;
    }
  }
  if (!blocked) outcome.writes.push_back(drop_finalizer(owner, kForegroundFinalizer));
  return outcome;
}

Outcome leave_behind(const View& view, const Object& owner) {
  Outcome outcome;
  for (const ObjectPtr& dependent : view.dependents(owner.uid)) {
    outcome.writes.push_back(patch(*dependent, without_owners(*dependent, {owner.uid})));
  }
  if (outcome.writes.empty()) outcome.writes.push_back(drop_finalizer(owner, kOrphanFinalizer));
  return outcome;
}

Outcome collect(const View& view, const Object& object) {
  Outcome outcome;
  Write write = remove(object);
  for (const OwnerRef& owner : object.owners) {
    const auto kind = kind_of(owner.api_version, owner.kind);
    if (!kind || view.find_uid(owner.uid) != nullptr) return outcome;
    const Key place{*kind, row(*kind).namespaced ? object.key.ns : std::string(), owner.name};
    write.confirm_gone.emplace_back(place, owner.uid);
  }
  if (!write.confirm_gone.empty()) outcome.writes.push_back(std::move(write));
  return outcome;
}

Outcome reconcile(const View& view, const Key& key, Time) {
  const ObjectPtr object = view.find(key);
  if (object == nullptr) return {};
  if (object->deleting && object->has_finalizer(kOrphanFinalizer)) {
    return leave_behind(view, *object);
  }
  if (object->deleting && object->has_finalizer(kForegroundFinalizer)) {
    return delete_in_foreground(view, *object);
  }
  return object->deleting ? Outcome{} : collect(view, *object);
}

void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  const bool gone = view.find_uid(object.uid) == nullptr;
  if (gone) {
    for (const ObjectPtr& dependent : view.dependents(object.uid)) keys.push_back(dependent->key);
  } else if (!object.owners.empty() || object.deleting) {
    keys.push_back(object.key);
  }
  for (const OwnerRef& owner : object.owners) {
    const ObjectPtr found = view.find_uid(owner.uid);
    if (found != nullptr && found->deleting) keys.push_back(found->key);
  }
}

}  // namespace

const Controller kGarbage = {"garbage", &affected, &reconcile};

}  // namespace berth::controllers
