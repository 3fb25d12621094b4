#pragma once

#include <algorithm>
#include <cstdint>

#include "core/model/state.h"

namespace berth::core {

/// The kinds that tasks of this shape may run on, of those that there are now: what a node that is
/// gone once had must not make a difference.
inline AcceleratorMask kinds_of(const State& state, const Shape& shape) {
  AcceleratorMask mask = 0;
  if (shape.devices.count == 0) return mask;
  const auto& models = shape.devices.models;
  for (size_t i = 0; i < state.accelerators().size(); ++i) {
    const Accelerator& kind = state.accelerators()[i];
    if (kind.resource == shape.devices.resource && state.capacity().accelerator_milli[i] > 0 &&
        (models.empty() || std::find(models.begin(), models.end(), kind.name) != models.end()))
      mask |= AcceleratorMask{1} << i;
  }
  return mask;
}

/// Thousandths of devices that a task asks for; of a share by memory alone the least there is.
inline int64_t request_milli(const Shape& shape) {
  return int64_t{shape.devices.count} * (shape.devices.milli == 0 ? 1 : shape.devices.milli);
}

}  // namespace berth::core
