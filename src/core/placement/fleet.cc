#include "core/placement/fleet.h"

#include <algorithm>
#include <cassert>

namespace berth::core {

DeviceClass device_class(const Request& request) {
  if (request.shares_device()) return DeviceClass::kShare;
  switch (request.devices) {
    case 1:
      return DeviceClass::kOne;
    case 2:
      return DeviceClass::kTwo;
    case 4:
      return DeviceClass::kFour;
    case 8:
      return DeviceClass::kEight;
    default:
      return DeviceClass::kOther;
  }
}

uint32_t Fleet::add_node(int64_t cpu_milli, int64_t memory_bytes, int devices, int model) {
  assert(devices <= static_cast<int>(kMaxDevicesPerNode));
  Node node;
  node.cpu_milli = cpu_milli;
  node.memory_bytes = memory_bytes;
  node.idle_milli = devices * kWholeDevice;
  node.first_device = static_cast<uint32_t>(left_.size());
  node.devices = static_cast<uint8_t>(devices);
  node.model = static_cast<uint8_t>(model);
  nodes_.push_back(node);
  left_.insert(left_.end(), static_cast<size_t>(devices), kWholeDevice);
  note_change(size() - 1);
  return size() - 1;
}

bool Fleet::fits(uint32_t n, const Request& request) const {
  const Node& node = nodes_[n];
  if (node.cpu_milli < request.cpu_milli || node.memory_bytes < request.memory_bytes) return false;
  if (request.devices == 0) return true;
  if (node.idle_milli < request.total_milli() || (request.models >> node.model & 1) == 0) {
    return false;
  }
  int fitting = 0;
  for (int16_t free : left(n)) fitting += free >= request.device_milli;
  return fitting >= request.devices;
}

void Fleet::take(uint32_t n, const Request& request, const DeviceSet& devices) {
  Node& node = nodes_[n];
  node.cpu_milli -= request.cpu_milli;
  node.memory_bytes -= request.memory_bytes;
  for_each_device(devices, [&](size_t d) {
    int16_t& left = left_[node.first_device + d];
    left = static_cast<int16_t>(left - request.device_milli);
  });
  if (request.devices > 0) {
    node.idle_milli -= static_cast<int32_t>(request.total_milli());
    ++node.residents[static_cast<size_t>(device_class(request))];
  }
  note_change(n);
}

void Fleet::give_back(uint32_t n, const Request& request, const DeviceSet& devices) {
  Node& node = nodes_[n];
  node.cpu_milli += request.cpu_milli;
  node.memory_bytes += request.memory_bytes;
  for_each_device(devices, [&](size_t d) {
    int16_t& left = left_[node.first_device + d];
    left = static_cast<int16_t>(left + request.device_milli);
  });
  if (request.devices > 0) {
    node.idle_milli += static_cast<int32_t>(request.total_milli());
    --node.residents[static_cast<size_t>(device_class(request))];
  }
  note_change(n);
}

void Fleet::set_free(uint32_t n, int64_t cpu_milli, int64_t memory_bytes,
                     std::span<const int16_t> devices) {
  Node& node = nodes_[n];
  assert(devices.size() == node.devices);
  node.cpu_milli = cpu_milli;
  node.memory_bytes = memory_bytes;
  node.idle_milli = 0;
  for (size_t d = 0; d < devices.size(); ++d) {
    left_[node.first_device + d] = devices[d];
    node.idle_milli += devices[d];
  }
  note_change(n);
}

void Fleet::note_change(uint32_t n) {
  // An index further behind than this rescores everything, which then costs no more.
  const size_t kept = std::max<size_t>(4 * nodes_.size(), 64);
  if (log_.size() >= 2 * kept) {
    const size_t dropped = log_.size() - kept;
    log_.erase(log_.begin(), log_.begin() + static_cast<ptrdiff_t>(dropped));
    first_change_ += dropped;
  }
  log_.push_back(n);
}

size_t Fleet::memory_bytes() const {
  return nodes_.capacity() * sizeof(Node) + left_.capacity() * sizeof(int16_t) +
         log_.capacity() * sizeof(uint32_t);
}

}  // namespace berth::core
