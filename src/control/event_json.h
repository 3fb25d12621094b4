#pragma once

#include <boost/json/value.hpp>

#include "base/error.h"
#include "core/model/event.h"
#include "core/model/plan.h"

namespace berth::control {

/// How events and plans stand in journals: objects with the fields that differ from their defaults,
/// times and durations in nanoseconds, enums as their numbers. A variant is `{"kind": fields}`.
boost::json::value to_json(const core::Event& event);
boost::json::value to_json(const core::Plan& plan);
Result<core::Event> event_from_json(const boost::json::value& json);
Result<core::Plan> plan_from_json(const boost::json::value& json);

}  // namespace berth::control
