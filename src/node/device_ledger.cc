#include "node/device_ledger.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace berth::node {

void DeviceLedger::set_devices(std::vector<Device> devices) {
  devices_ = std::move(devices);
}

Result<> DeviceLedger::take(const std::string& pod_uid, const std::vector<AssignedDevice>& wanted) {
  using Key = std::pair<std::string, std::string>;
  struct Use {
    int64_t milli = 0;
    int64_t memory_bytes = 0;
  };
  std::map<Key, Use> used;
  const auto add = [&](const AssignedDevice& d) {
    const auto device = std::find_if(devices_.begin(), devices_.end(), [&](const Device& known) {
      return known.resource == d.resource && known.id == d.id;
    });
    const int64_t whole = device == devices_.end() ? 0 : device->memory_bytes;
    Use& use = used[{d.resource, d.id}];
    use.milli += d.milli;
    // A whole device is all of its memory, whatever the number says.
    use.memory_bytes += d.milli == 1000 ? whole : d.memory_bytes;
    return device;
  };
  for (const auto& [uid, devices] : held_)
    if (uid != pod_uid)
      for (const AssignedDevice& d : devices) add(d);
  for (const AssignedDevice& d : wanted) {
    const auto device = add(d);
    if (device == devices_.end())
      return fail(ErrorCode::kNotFound, fmt::format("this node has no {} {}", d.resource, d.id));
    const Use& use = used[{d.resource, d.id}];
    if (use.milli > 1000 || (device->memory_bytes > 0 && use.memory_bytes > device->memory_bytes))
      return fail(ErrorCode::kConflict,
                  fmt::format("{} {} is already given to another pod", d.resource, d.id));
  }
  held_[pod_uid] = wanted;
  return {};
}

void DeviceLedger::give_back(const std::string& pod_uid) {
  held_.erase(pod_uid);
}

}  // namespace berth::node
