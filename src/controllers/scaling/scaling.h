#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Writes what the `Autoscaler` decided: `status.desired`, `status.scalingReason` and
/// `status.scaling` of a ModelService; the `scale` of a Deployment, with the reason as an
/// annotation. An Event says when it changes.
extern const Controller kScaling;

}  // namespace berth::controllers
