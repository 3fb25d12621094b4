#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Removes pods whose node is gone for good: after 40 s without it, and marked as disrupted first,
/// so that nobody counts their end as a failure.
extern const Controller kLostPods;

}  // namespace berth::controllers
