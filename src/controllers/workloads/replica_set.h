#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Keeps as many pods as `spec.replicas` asks for, and says how many of them are ready.
extern const Controller kReplicaSet;

}  // namespace berth::controllers
