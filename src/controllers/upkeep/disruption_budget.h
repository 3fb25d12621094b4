#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Keeps a PodDisruptionBudget's status current: how many pods are healthy, how many must be, how
/// many may be evicted now. The eviction itself is checked inside the API server.
extern const Controller kDisruptionBudget;

}  // namespace berth::controllers
