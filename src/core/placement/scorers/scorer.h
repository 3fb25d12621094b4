#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>

#include "core/placement/fleet.h"

namespace berth::core {

/// Orders the nodes on which a request fits: the highest score wins, ties go to the first node.
/// A scorer never refuses. It is pure: the score depends on the node's free resources and the
/// request alone, which is what lets an index keep it until the node changes.
class Scorer {
 public:
  static constexpr int32_t kUnfit = std::numeric_limits<int32_t>::min();

  virtual ~Scorer() = default;
  /// Called only where the request fits.
  virtual int32_t score(const Fleet& fleet, uint32_t node, const Request& request) = 0;
  /// The devices to take on a node where the request fits. By default whole devices take the lowest
  /// free indices, a share the tightest device, the lowest index on ties.
  virtual DeviceSet choose_devices(const Fleet& fleet, uint32_t node, const Request& request);
};

/// The choices that most scorers share.
DeviceSet lowest_free_devices(std::span<const int16_t> left, int count);
DeviceSet tightest_device(std::span<const int16_t> left, int milli);

}  // namespace berth::core
