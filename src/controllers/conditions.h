#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "objects/json.h"

namespace berth::controllers {

/// The entry of `status.conditions` with this type, or null.
const Json* find_condition(const Json& object, std::string_view type);
bool condition_is_true(const Json& object, std::string_view type);
/// `lastTransitionTime`, or the epoch where there is none.
Time transition_time(const Json& condition);

struct Condition {
  std::string type;
  std::string status = "True";
  std::string reason;
  std::string message;
};

/// Puts `condition` into `conditions`. The transition time moves only when the status does, and
/// `lastUpdateTime` (where `with_update_time`) only when anything does, so that an unchanged
/// condition leaves the list as it was.
void set_condition(JsonArray& conditions, const Condition& condition, Time now,
                   bool with_update_time = false);
void drop_condition(JsonArray& conditions, std::string_view type);

}  // namespace berth::controllers
