#include "core/placement/scorers/fgd.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace berth::core {

int32_t FgdScorer::gradient(int64_t before, int64_t after) const {
  const double milli = static_cast<double>(before - after) / static_cast<double>(meter_.total());
  return static_cast<int32_t>(100.0 / (1.0 + std::exp(-milli / 1000.0)));
}

FgdScorer::Choice FgdScorer::best_share(const Fleet& fleet, uint32_t node, const Request& request) {
  const Fleet::Node& at = fleet.node(node);
  std::array<int16_t, kMaxDevicesPerNode> left;
  const auto free = fleet.left(node);
  std::copy(free.begin(), free.end(), left.begin());
  const std::span<const int16_t> after(left.data(), free.size());
  const int64_t before = fragmented(at.model, at.cpu_milli, free);
  Choice best{kUnfit, 0};
  for (size_t d = 0; d < free.size(); ++d) {
    if (free[d] < request.device_milli) continue;
    if (std::find(free.begin(), free.begin() + static_cast<ptrdiff_t>(d), free[d]) !=
        free.begin() + static_cast<ptrdiff_t>(d)) {
      continue;  // an earlier device is in the same state
    }
    left[d] = static_cast<int16_t>(left[d] - request.device_milli);
    const int32_t score =
        gradient(before, fragmented(at.model, at.cpu_milli - request.cpu_milli, after));
    left[d] = free[d];
    if (score > best.score) best = {score, d};
  }
  return best;
}

int32_t FgdScorer::score(const Fleet& fleet, uint32_t node, const Request& request) {
  if (request.shares_device()) return best_share(fleet, node, request).score;
  const Fleet::Node& at = fleet.node(node);
  const auto free = fleet.left(node);
  std::array<int16_t, kMaxDevicesPerNode> left;
  std::copy(free.begin(), free.end(), left.begin());
  for_each_device(lowest_free_devices(free, request.devices), [&](size_t d) { left[d] = 0; });
  return gradient(
      fragmented(at.model, at.cpu_milli, free),
      fragmented(at.model, at.cpu_milli - request.cpu_milli, {left.data(), free.size()}));
}

DeviceSet FgdScorer::choose_devices(const Fleet& fleet, uint32_t node, const Request& request) {
  if (!request.shares_device()) return Scorer::choose_devices(fleet, node, request);
  return device_bit(best_share(fleet, node, request).device);
}

}  // namespace berth::core
