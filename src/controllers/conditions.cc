#include "controllers/conditions.h"

#include <algorithm>

namespace berth::controllers {

const Json* find_condition(const Json& object, std::string_view type) {
  for (const Json& condition : objects::find_array(object, {"status", "conditions"})) {
    if (objects::find_string(condition, {"type"}) == type) return &condition;
  }
  return nullptr;
}

bool condition_is_true(const Json& object, std::string_view type) {
  const Json* condition = find_condition(object, type);
  return condition != nullptr && objects::find_string(*condition, {"status"}) == "True";
}

Time transition_time(const Json& condition) {
  const auto time = parse_time(objects::find_string(condition, {"lastTransitionTime"}));
  return time ? *time : Time{};
}

void set_condition(JsonArray& conditions, const Condition& condition, Time now,
                   bool with_update_time) {
  const auto at = std::find_if(conditions.begin(), conditions.end(), [&](const Json& entry) {
    return objects::find_string(entry, {"type"}) == condition.type;
  });
  JsonObject updated{{"type", condition.type},
                     {"status", condition.status},
                     {"reason", condition.reason},
                     {"message", condition.message}};
  const bool same_status =
      at != conditions.end() && objects::find_string(*at, {"status"}) == condition.status;
  if (same_status && objects::find_string(*at, {"reason"}) == condition.reason &&
      objects::find_string(*at, {"message"}) == condition.message) {
    return;
  }
  updated["lastTransitionTime"] =
      same_status ? std::string(objects::find_string(*at, {"lastTransitionTime"}))
                  : format_time(now);
  if (with_update_time) updated["lastUpdateTime"] = format_time(now);
  if (at == conditions.end()) {
    conditions.push_back(std::move(updated));
  } else {
    *at = std::move(updated);
  }
}

void drop_condition(JsonArray& conditions, std::string_view type) {
  for (auto at = conditions.begin(); at != conditions.end();) {
    at = objects::find_string(*at, {"type"}) == type ? conditions.erase(at) : at + 1;
  }
}

}  // namespace berth::controllers
