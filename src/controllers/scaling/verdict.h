#pragma once

#include <memory>
#include <string>

#include "objects/json.h"

namespace berth::controllers {

/// How many replicas a service is to have, and why.
struct ScalingVerdict {
  int replicas = 0;
  std::string reason;
  /// What was measured: for the object's status, where the next start finds it.
  JsonObject measured;
};
using VerdictPtr = std::shared_ptr<const ScalingVerdict>;

}  // namespace berth::controllers
