#include "objects/json_text.h"
#include "objects/patch.h"

namespace berth::objects {

void apply_merge_patch(Json& object, const Json& patch) {
  const JsonObject* changes = patch.if_object();
  if (changes == nullptr) {
    object = patch;
    return;
  }
  if (!object.is_object()) object.emplace_object();
  JsonObject& members = object.get_object();
  for (const auto& [key, value] : *changes) {
    if (value.is_null()) {
      members.erase(key);
    } else {
      apply_merge_patch(members[key], value);
    }
  }
}

Json merge_patch_between(const Json& from, const Json& to) {
  if (!from.is_object() || !to.is_object()) return to;
  const JsonObject& before = from.get_object();
  const JsonObject& after = to.get_object();
  JsonObject patch;
  for (const auto& [key, value] : before)
    if (!after.contains(key)) patch[key] = nullptr;
  for (const auto& [key, value] : after) {
    const Json* old = before.if_contains(key);
    if (old == nullptr) {
      patch[key] = value;
    } else if (old->is_object() && value.is_object()) {
      Json inner = merge_patch_between(*old, value);
      if (!inner.get_object().empty()) patch[key] = std::move(inner);
    } else if (canonical_json(*old) != canonical_json(value)) {
      patch[key] = value;
    }
  }
  return patch;
}

}  // namespace berth::objects
