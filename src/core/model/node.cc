#include "core/model/node.h"

namespace berth::core {
namespace {

// ceil(a * b / c) without overflow for byte counts; c > 0.
int64_t scaled_up(int64_t a, int64_t b, int64_t c) {
  __extension__ typedef __int128 Wide;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<int64_t>((product + c - 1) / c);
}

}  // namespace

DeviceShare share_on(const DeviceRequest& request, const Device& device) {
  int64_t milli = request.milli;
  int64_t memory = request.memory_bytes;
  if (request.whole()) return {1000, device.memory_bytes};
  // A device of unknown memory cannot bound a share by memory.
  if (milli == 0)
    milli = device.memory_bytes > 0 ? scaled_up(memory, 1000, device.memory_bytes) : 1001;
  if (memory == 0) memory = device.memory_bytes * milli / 1000;
  return {static_cast<uint16_t>(std::clamp<int64_t>(milli, 1, 1001)), memory};
}

bool fits(const DeviceRequest& request, const Device& device) {
  if (device.resource != request.resource || !device.usable()) return false;
  if (!request.models.empty() &&
      std::find(request.models.begin(), request.models.end(), device.model) == request.models.end())
    return false;
  if (request.memory_bytes > device.memory_bytes) return false;
  const DeviceShare share = share_on(request, device);
  return share.milli <= device.free_milli() && share.memory_bytes <= device.free_memory_bytes();
}

}  // namespace berth::core
