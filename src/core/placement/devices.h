#pragma once

#include <optional>

#include "core/placement/placer.h"

namespace berth::core {

/// Which devices of `node` a task takes, or nothing where too few fit. 0 where it asks for none, or
/// where the node only counts them.
///
/// Shares go to the device with least left, so that whole ones stay whole. Whole devices come from
/// one link domain (or NUMA node) where that is asked for: of those with enough idle devices the
/// one with fewest, which keeps the large ones for large requests. Ties go to the lowest index.
std::optional<DeviceSet> choose_devices(const DeviceRequest& request, const Node& node,
                                        AcceleratorMask accelerators);

}  // namespace berth::core
