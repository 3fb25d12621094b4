#include "core/placement/scorers/packing.h"

#include <algorithm>
#include <array>

namespace berth::core {

int32_t PackingScorer::score(const Fleet& fleet, uint32_t node, const Request& request) {
  if (request.devices == 0) return 0;
  const auto free = fleet.left(node);
  const int devices = static_cast<int>(free.size());
  if (fleet.node(node).idle_milli == devices * kWholeDevice) return std::max(33 - devices, devices);
  std::array<int16_t, kMaxDevicesPerNode> left;
  const auto end = std::copy(free.begin(), free.end(), left.begin());
  std::sort(left.begin(), end);
  int wanted = request.devices;
  int idle_devices = 0;
  int shared_tenths = 0;
  for (auto at = left.begin(); at != end && wanted > 0; ++at) {
    if (*at < request.device_milli) continue;
    --wanted;
    if (*at == kWholeDevice) {
      ++idle_devices;
    } else {
      shared_tenths += *at * 100 / kWholeDevice;
    }
  }
  if (idle_devices > 0) return std::max(50 - idle_devices, 33);
  return std::max(100 - shared_tenths / 10, 50);
}

}  // namespace berth::core
