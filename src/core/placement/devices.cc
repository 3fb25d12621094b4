#include "core/placement/devices.h"

#include <algorithm>
#include <bit>

namespace berth::core {
namespace {

DeviceSet lowest(DeviceSet from, uint16_t count) {
  DeviceSet chosen = 0;
  for (; count > 0; --count) {
    chosen |= from & (~from + 1);
    from &= from - 1;
  }
  return chosen;
}

/// The smallest group of `candidates` with equal `key` that has enough; 0 where none has.
template <class Key>
DeviceSet smallest_group(const Node& node, DeviceSet candidates, uint16_t count, const Key& key) {
  DeviceSet best = 0;
  for (DeviceSet rest = candidates; rest != 0;) {
    const auto first = static_cast<size_t>(std::countr_zero(rest));
    DeviceSet group = 0;
    for_each_device(rest, [&](size_t i) {
      if (key(node.devices[i]) == key(node.devices[first])) group |= device_bit(i);
    });
    rest &= ~group;
    if (std::popcount(group) >= count && (best == 0 || std::popcount(group) < std::popcount(best)))
      best = group;
  }
  return best;
}

}  // namespace

std::optional<DeviceSet> choose_devices(const DeviceRequest& request, const Node& node,
                                        AcceleratorMask accelerators) {
  if (request.count == 0) return DeviceSet{0};
  DeviceSet candidates = 0;
  bool named = false;
  for (size_t i = 0; i < node.devices.size(); ++i) {
    const Device& device = node.devices[i];
    named |= device.resource == request.resource;
    if ((accelerators >> device.accelerator.index() & 1) && fits(request, device))
      candidates |= device_bit(i);
  }
  if (!named) return DeviceSet{0};
  if (std::popcount(candidates) < request.count) return std::nullopt;

  if (!request.whole()) {
    DeviceSet chosen = 0;
    for (uint16_t n = 0; n < request.count; ++n) {
      std::optional<size_t> tightest;
      for_each_device(candidates & ~chosen, [&](size_t i) {
        if (!tightest || node.devices[i].free_milli() < node.devices[*tightest].free_milli())
          tightest = i;
      });
      chosen |= device_bit(*tightest);
    }
    return chosen;
  }

  if (request.count > 1 && request.same_link_domain != Strictness::kNone) {
    const DeviceSet group = smallest_group(node, candidates, request.count,
                                           [](const Device& d) { return d.link_domain; });
    if (group != 0)
      candidates = group;
    else if (request.same_link_domain == Strictness::kRequired)
      return std::nullopt;
  }
  if (request.same_numa != Strictness::kNone) {
    const DeviceSet group =
        smallest_group(node, candidates, request.count, [](const Device& d) { return d.numa; });
    if (group != 0)
      candidates = group;
    else if (request.same_numa == Strictness::kRequired)
      return std::nullopt;
  }
  return lowest(candidates, request.count);
}

}  // namespace berth::core
