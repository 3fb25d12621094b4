#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/model/ids.h"

namespace berth::core {

/// A whole device, in thousandths. A share is the larger of its compute and its memory fraction.
inline constexpr int kWholeDevice = 1000;

/// What placement needs to know of a task: tasks with equal requests share one candidate index.
struct Request {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  int16_t devices = 0;       ///< how many; 0 for a task without accelerators
  int16_t device_milli = 0;  ///< of each; below kWholeDevice only with one device
  AcceleratorMask models = kAllAccelerators;

  /// Further constraints, interned by whoever compiles requests; 0 for none. Requests that differ
  /// in them differ. Here it only tells them apart.
  uint32_t filter = 0;

  bool whole_devices() const { return devices > 0 && device_milli == kWholeDevice; }
  bool shares_device() const { return devices > 0 && device_milli < kWholeDevice; }
  int64_t total_milli() const { return int64_t{devices} * device_milli; }

  auto operator<=>(const Request&) const = default;
};

}  // namespace berth::core

template <>
struct std::hash<berth::core::Request> {
  size_t operator()(const berth::core::Request& r) const noexcept {
    uint64_t h = 0x9e3779b97f4a7c15;
    for (uint64_t v :
         {static_cast<uint64_t>(r.cpu_milli), static_cast<uint64_t>(r.memory_bytes),
          static_cast<uint64_t>(r.devices) << 16 | static_cast<uint64_t>(r.device_milli), r.models,
          uint64_t{r.filter}}) {
      h = (h ^ v) * 0xbf58476d1ce4e5b9;
      h ^= h >> 29;
    }
    return static_cast<size_t>(h);
  }
};
