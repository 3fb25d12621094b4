#pragma once

#include "controllers/controller.h"

namespace berth::controllers {

/// Moves pods from one template to the next through one ReplicaSet for each, rolling or all at
/// once, keeps the history that `kubectl rollout undo` goes back to, and writes the status that
/// `kubectl rollout status` waits for.
extern const Controller kDeployment;

}  // namespace berth::controllers
