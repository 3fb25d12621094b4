#include "core/placement/scorers/scorer.h"

namespace berth::core {

DeviceSet lowest_free_devices(std::span<const int16_t> left, int count) {
  DeviceSet chosen = 0;
  for (size_t d = 0; d < left.size() && count > 0; ++d) {
    if (left[d] < kWholeDevice) continue;
    chosen |= device_bit(d);
    --count;
  }
  return chosen;
}

DeviceSet tightest_device(std::span<const int16_t> left, int milli) {
  size_t best = left.size();
  for (size_t d = 0; d < left.size(); ++d) {
    if (left[d] >= milli && (best == left.size() || left[d] < left[best])) best = d;
  }
  DeviceSet chosen = 0;
  if (best < left.size()) chosen |= device_bit(best);
  return chosen;
}

DeviceSet Scorer::choose_devices(const Fleet& fleet, uint32_t node, const Request& request) {
  if (request.devices == 0) return 0;
  if (request.whole_devices()) return lowest_free_devices(fleet.left(node), request.devices);
  return tightest_device(fleet.left(node), request.device_milli);
}

}  // namespace berth::core
