#pragma once

#include <optional>

#include "objects/json.h"

namespace berth::bridge {

/// What there is to explain of a pod that has ended: its phase, and as reasons how it and each of
/// its containers ended. Nothing for one that has not ended.
std::optional<Json> explain_ended(const Json& pod);

}  // namespace berth::bridge
