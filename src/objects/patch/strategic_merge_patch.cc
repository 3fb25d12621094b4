#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "objects/json_text.h"
#include "objects/patch.h"
#include "objects/path.h"

// The rules, and what happens at their edges, are those of
// k8s.io/apimachinery/pkg/util/strategicpatch.

namespace berth::objects {
namespace {

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kElementOrder = "$setElementOrder/";
constexpr std::string_view kDeleteFromList = "$deleteFromPrimitiveList/";

constexpr size_t kNotFound = static_cast<size_t>(-1);

/// What tells a list's items apart: the value of the merge key, or the item itself.
const Json* identity(const Json& item, std::string_view merge_key) {
  if (merge_key.empty()) return &item;
  const JsonObject* object = item.if_object();
  return object == nullptr ? nullptr : object->if_contains(merge_key);
}

/// Finds a list's items by identity; of equal ones, the first.
class ItemIndex {
 public:
  ItemIndex(const JsonArray& list, std::string_view merge_key) : merge_key_(merge_key) {
    for (const Json& item : list) add(item);
  }

  void add(const Json& item) {
    if (const Json* key = identity(item, merge_key_)) by_key_.emplace(canonical_json(*key), next_);
    ++next_;
  }
  size_t find(const Json& item) const {
    const Json* key = identity(item, merge_key_);
    if (key == nullptr) return kNotFound;
    const auto at = by_key_.find(canonical_json(*key));
    return at == by_key_.end() ? kNotFound : at->second;
  }
  bool contains(const Json& item) const { return find(item) != kNotFound; }

 private:
  std::string_view merge_key_;
  std::unordered_map<std::string, size_t> by_key_;
  size_t next_ = 0;
};

/// A value as it is added where nothing was: without directives and nulls. False: nothing is added.
bool strip(const Json& value, Json& out) {
  if (const JsonObject* object = value.if_object()) {
    if (object->contains(kDirective)) return false;
    JsonObject& members = out.emplace_object();
    for (const auto& [key, member] : *object) {
      if (member.is_null() || key.starts_with(kElementOrder) || key.starts_with(kDeleteFromList) ||
          key == kRetainKeys)
        continue;
      Json kept;
      if (strip(member, kept)) members[key] = std::move(kept);
    }
    return true;
  }
  if (const JsonArray* array = value.if_array()) {
    JsonArray& items = out.emplace_array();
    for (const Json& item : *array) {
      Json kept;
      if (strip(item, kept)) items.push_back(std::move(kept));
    }
    return true;
  }
  out = value;
  return true;
}

class StrategicMerge {
 public:
  Result<> merge_object(const Struct* schema, JsonObject& object, const JsonObject& patch) {
    if (const Json* directive = patch.if_contains(kDirective))
      return obey(*directive, object, patch);
    BERTH_CHECK(retain_keys(object, patch));
    std::vector<std::pair<std::string_view, JsonArray>> before;  // of the lists to be ordered
    for (const auto& [key, order] : patch)
      if (std::string_view(key).starts_with(kElementOrder)) {
        const std::string_view name = std::string_view(key).substr(kElementOrder.size());
        const Json* list = object.if_contains(name);
        before.emplace_back(name,
                            list != nullptr && list->is_array() ? list->get_array() : JsonArray());
      }
    for (const auto& [key, value] : patch) {
      const std::string_view name = key;
      if (name == kRetainKeys || name.starts_with(kElementOrder)) continue;
      if (name.starts_with(kDeleteFromList)) {
        BERTH_CHECK(delete_from_list(object, name.substr(kDeleteFromList.size()), value));
        continue;
      }
      const PathScope scope(path_, name);
      BERTH_CHECK(merge_member(schema, object, name, value));
    }
    for (const auto& [name, list] : before)
      BERTH_CHECK(set_order(schema, object, name,
                            patch.at(std::string(kElementOrder) + std::string(name)), list));
    return {};
  }

 private:
  std::unexpected<Error> bad(std::string what) const {
    return fail(ErrorCode::kInvalid, std::move(what),
                path_.empty() ? std::string("strategic merge patch") : path_);
  }

  Result<> obey(const Json& directive, JsonObject& object, const JsonObject& patch) {
    if (directive == Json("delete")) {
      object.clear();
      return {};
    }
    if (directive == Json("replace")) {
      object = patch;
      object.erase(kDirective);
      return {};
    }
    return bad(fmt::format("`$patch` may be replace or delete, not {}", canonical_json(directive)));
  }

  Result<> retain_keys(JsonObject& object, const JsonObject& patch) {
    const Json* keys = patch.if_contains(kRetainKeys);
    if (keys == nullptr) return {};
    const JsonArray* list = keys->if_array();
    if (list == nullptr) return bad("`$retainKeys` must be a list");
    const auto retained = [list](std::string_view key) {
      return std::ranges::find(*list, Json(key)) != list->end();
    };
    for (const auto& [key, value] : patch)
      if (!std::string_view(key).starts_with('$') && !value.is_null() && !retained(key))
        return bad(fmt::format("`$retainKeys` does not name `{}`, which the patch sets",
                               std::string_view(key)));
    for (auto at = object.begin(); at != object.end();)
      at = retained(at->key()) ? at + 1 : object.erase(at);
    return {};
  }

  Result<> delete_from_list(JsonObject& object, std::string_view name, const Json& values) {
    const JsonArray* removed = values.if_array();
    if (removed == nullptr) return bad(fmt::format("`{}{}` must be a list", kDeleteFromList, name));
    Json* member = object.if_contains(name);
    JsonArray* list = member != nullptr ? member->if_array() : nullptr;
    if (list == nullptr) return {};
    JsonArray kept;
    const ItemIndex gone(*removed, {});
    for (Json& item : *list)
      if (!gone.contains(item)) kept.push_back(std::move(item));
    *list = std::move(kept);
    return {};
  }

  Result<> merge_member(const Struct* schema, JsonObject& object, std::string_view name,
                        const Json& value) {
    if (value.is_null()) {
      object.erase(name);
      return {};
    }
    const Field* field = schema != nullptr ? schema->find(name) : nullptr;
    Json* old = object.if_contains(name);
    if (old == nullptr || old->kind() != value.kind()) return set(object, name, value);
    if (value.is_object()) {
      const bool known = field != nullptr && field->type == Type::kObject;
      return merge_object(known ? field->object : nullptr, old->get_object(), value.get_object());
    }
    if (value.is_array() && field != nullptr && field->patch_merge)
      return merge_list(*field, old->get_array(), value.get_array());
    if (value.is_array()) {
      Json replaced;
      strip(value, replaced);
      *old = std::move(replaced);
      return {};
    }
    *old = value;
    return {};
  }

  static Result<> set(JsonObject& object, std::string_view name, const Json& value) {
    Json stripped;
    if (strip(value, stripped)) {
      object[name] = std::move(stripped);
    } else {
      object.erase(name);
    }
    return {};
  }

  Result<> merge_list(const Field& field, JsonArray& list, const JsonArray& patch) {
    const bool objects = field.item->type == Type::kObject;
    if (!objects) return merge_scalars(list, patch);
    const std::string_view key = field.merge_key;
    if (key.empty()) return bad("this list has no merge key");
    JsonArray changes, deletions;
    bool replace = false;
    for (const Json& item : patch) {
      const JsonObject* members = item.if_object();
      if (members == nullptr) return bad("items of this list must be objects");
      const Json* directive = members->if_contains(kDirective);
      if (directive == nullptr) {
        changes.push_back(item);
      } else if (*directive == Json("delete")) {
        if (identity(item, key) == nullptr)
          return bad(fmt::format("an item to delete must have its `{}`", key));
        deletions.push_back(item);
      } else if (*directive == Json("replace")) {
        replace = true;
      } else {
        return bad(fmt::format("`$patch` of an item may be replace or delete, not {}",
                               canonical_json(*directive)));
      }
    }
    for (const Json& item : changes)
      if (identity(item, key) == nullptr)
        return bad(fmt::format("an item of the list does not have its merge key `{}`", key));
    if (replace) {
      Json replaced;
      strip(changes, replaced);
      list = std::move(replaced.get_array());
      return {};
    }
    if (!deletions.empty()) {
      const ItemIndex deleted(deletions, key);
      JsonArray kept;
      for (Json& item : list)
        if (!deleted.contains(item)) kept.push_back(std::move(item));
      list = std::move(kept);
    }
    const JsonArray before = list;
    ItemIndex known(list, key);
    for (const Json& item : changes) {
      const size_t at = known.find(item);
      if (at == kNotFound) {
        Json added;
        if (!strip(item, added)) continue;
        known.add(added);
        list.push_back(std::move(added));
        continue;
      }
      const PathScope scope(path_, at);
      JsonObject* target = list[at].if_object();
      if (target == nullptr) return bad("the item to be changed is not an object");
      BERTH_CHECK(merge_object(field.item->object, *target, item.get_object()));
    }
    order(list, changes, before, key);
    return {};
  }

  static Result<> merge_scalars(JsonArray& list, const JsonArray& patch) {
    const JsonArray before = list;
    ItemIndex known(list, {});
    for (const Json& item : patch)
      if (!known.contains(item)) {
        known.add(item);
        list.push_back(item);
      }
    order(list, patch, before, {});
    return {};
  }

  /// Puts the items that `wanted` names in its order, and the others where they stood among them.
  static void order(JsonArray& list, const JsonArray& wanted, const JsonArray& before,
                    std::string_view key) {
    struct Place {
      Json item;
      size_t wanted, before;
    };
    const ItemIndex wanted_index(wanted, key);
    const ItemIndex before_index(before, key);
    std::vector<Place> named, others;
    for (Json& item : list) {
      const size_t place = wanted_index.find(item);
      const size_t old = before_index.find(item);
      (place != kNotFound ? named : others).push_back({std::move(item), place, old});
    }
    std::ranges::stable_sort(named, {}, &Place::wanted);
    std::ranges::stable_sort(others, {}, &Place::before);
    list.clear();
    auto other = others.begin();
    auto name = named.begin();
    while (other != others.end() || name != named.end()) {
      bool other_first = name == named.end();
      if (other != others.end() && name != named.end())
        other_first =
            other->before != kNotFound && name->before != kNotFound && other->before < name->before;
      list.push_back(std::move((other_first ? *other++ : *name++).item));
    }
  }

  Result<> set_order(const Struct* schema, JsonObject& object, std::string_view name,
                     const Json& wanted, const JsonArray& before) {
    if (!wanted.is_array()) return bad(fmt::format("`{}{}` must be a list", kElementOrder, name));
    Json* member = object.if_contains(name);
    JsonArray* list = member != nullptr ? member->if_array() : nullptr;
    if (list == nullptr) return {};
    const Field* field = schema != nullptr ? schema->find(name) : nullptr;
    const std::string_view key = field != nullptr ? field->merge_key : std::string_view();
    order(*list, wanted.get_array(), before, key);
    return {};
  }

  std::string path_;
};

}  // namespace

Result<> apply_strategic_merge_patch(const Kind& kind, Json& object, const Json& patch) {
  if (!patch.is_object()) return fail(ErrorCode::kInvalid, "a merge patch must be an object");
  Json patched = object;
  if (!patched.is_object()) patched.emplace_object();
  BERTH_CHECK(StrategicMerge().merge_object(kind.schema, patched.get_object(), patch.get_object()));
  object = std::move(patched);
  return {};
}

}  // namespace berth::objects
