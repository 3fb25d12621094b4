#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "objects/json.h"

namespace berth::cli {

/// An object for people: its name and age, then every field as an indented outline, with conditions
/// as a table and what the system only keeps for itself left out.
std::string outline(const Json& object, Time now);

/// How long ago a timestamp was, `<unknown>` where it is none.
std::string age_of(std::string_view timestamp, Time now);

}  // namespace berth::cli
