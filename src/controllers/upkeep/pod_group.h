#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Says in a PodGroup's status how far its members are. What Berth's decisions remember of the gang
/// lives in the same status and is not touched.
extern const Controller kPodGroup;

}  // namespace berth::controllers
