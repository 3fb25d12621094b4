#include "cli/resources/three_way.h"

#include <algorithm>
#include <string>
#include <utility>

#include "objects/json_text.h"
#include "objects/patch.h"

namespace berth::cli {
namespace {

void drop_abandoned(const objects::Struct* schema, const objects::Field* item, const Json& last,
                    const Json& wanted, Json& live);

const Json* find_by_key(const JsonArray& list, std::string_view key, const Json& like) {
  const Json* wanted = objects::find(like, {key});
  if (wanted == nullptr) return nullptr;
  for (const Json& entry : list) {
    const Json* value = objects::find(entry, {key});
    if (value != nullptr && *value == *wanted) return &entry;
  }
  return nullptr;
}

void drop_from_list(const objects::Field& field, const JsonArray& last, const JsonArray& wanted,
                    JsonArray& live) {
  for (auto at = live.begin(); at != live.end();) {
    if (field.merge_key.empty()) {
      const bool was = std::find(last.begin(), last.end(), *at) != last.end();
      const bool is = std::find(wanted.begin(), wanted.end(), *at) != wanted.end();
      at = was && !is ? live.erase(at) : at + 1;
      continue;
    }
    const Json* was = find_by_key(last, field.merge_key, *at);
    const Json* is = find_by_key(wanted, field.merge_key, *at);
    if (was != nullptr && is == nullptr) {
      at = live.erase(at);
      continue;
    }
    if (was != nullptr && field.item != nullptr) {
      drop_abandoned(field.item->object, field.item->item, *was, *is, *at);
    }
    ++at;
  }
}

/// Takes out of `live` what `last` had and `wanted` has no more.
void drop_abandoned(const objects::Struct* schema, const objects::Field* item, const Json& last,
                    const Json& wanted, Json& live) {
  if (!last.is_object() || !wanted.is_object() || !live.is_object()) return;
  for (const auto& [key, before] : last.get_object()) {
    Json* now = live.get_object().if_contains(key);
    if (now == nullptr) continue;
    const Json* next = wanted.get_object().if_contains(key);
    if (next == nullptr) {
      live.get_object().erase(key);
      continue;
    }
    const objects::Field* field = schema == nullptr ? item : schema->find(key);
    if (field == nullptr) continue;
    if (field->patch_merge && before.is_array() && next->is_array() && now->is_array()) {
      drop_from_list(*field, before.get_array(), next->get_array(), now->get_array());
    } else {
      drop_abandoned(field->object, field->item, before, *next, *now);
    }
  }
}

}  // namespace

Result<Json> three_way(const objects::Kind& kind, const Json& last, const Json& live,
                       const Json& wanted) {
  Json result = live;
  drop_abandoned(kind.schema, nullptr, last, wanted, result);
  BERTH_CHECK(objects::apply_strategic_merge_patch(kind, result, wanted));
  return result;
}

void set_last_applied(Json& wanted) {
  JsonObject& annotations = objects::ensure_object(wanted, {"metadata", "annotations"});
  annotations.erase(kLastApplied);
  const std::string text = objects::canonical_json(wanted) + "\n";
  objects::ensure_object(wanted, {"metadata", "annotations"})[kLastApplied] = text;
}

Json last_applied(const Json& live) {
  const std::string_view text =
      objects::find_string(live, {"metadata", "annotations", kLastApplied});
  if (text.empty()) return nullptr;
  auto parsed = objects::parse_json(text);
  return parsed ? std::move(parsed->value) : Json(nullptr);
}

}  // namespace berth::cli
