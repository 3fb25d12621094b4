#pragma once

#include <optional>

#include "objects/json.h"

namespace berth::bridge {

/// What there is to explain of a pod that has ended: its phase, and as reasons how it and each of
/// its containers ended. Nothing for one that has not ended.
std::optional<Json> explain_ended(const Json& pod);

/// Adds to the answer for a pod that has its place what its containers still wait for: an image, a
/// volume, a restart.
void explain_waiting_containers(const Json& pod, Json& answer);

}  // namespace berth::bridge
