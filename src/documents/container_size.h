#pragma once

#include "core/scaling/advice/right_size.h"
#include "objects/json.h"

namespace berth::documents {

/// CPU and memory of a resource list (`{"cpu": "500m", "memory": "1Gi"}`); zero: not there.
core::ContainerSize size_of(const JsonObject& amounts);

/// `requests` and `limits` of a container that asked for `request` and was limited to `limit`, once
/// it asks for `size`: limits keep their ratio. What is zero is left out.
JsonObject resized(const core::ContainerSize& request, const core::ContainerSize& limit,
                   const core::ContainerSize& size);

}  // namespace berth::documents
