#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// A pod may be told for so long that no node takes it before that counts: preemption takes time.
inline constexpr Duration kPlacementPatience = Duration::seconds(10);

/// Writes what the `Autoscaler` decided: `status.desired`, `status.scalingReason`,
/// `status.growthValues` and `status.scaling` of a ModelService; the `scale` of a Deployment, with
/// the reason and the values as annotations. An Event says when it changes.
extern const Controller kScaling;

}  // namespace berth::controllers
