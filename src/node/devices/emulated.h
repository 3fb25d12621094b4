#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "node/devices/device_source.h"

namespace berth::node {

/// Devices that are not there, for machines without: `--emulate-device nvidia.com/gpu=4:80Gi:H100`.
struct EmulatedDevices {
  std::string resource;
  int count = 0;
  int64_t memory_bytes = 0;
  std::string model;
};

/// Reads `RESOURCE=COUNT:MEMORY[:MODEL]`.
Result<EmulatedDevices> parse_emulated_devices(std::string_view text);

/// Which devices these are: ids `gpu-0`, ... for NVIDIA's, else after the resource
/// (`amd-gpu-0`). Eight at a time share a fast link, as in common machines.
std::vector<Device> emulate_devices(const EmulatedDevices& spec);

/// The word before the number in a device's id: `gpu` for `nvidia.com/gpu`, else the vendor and the
/// name, `amd-gpu`.
std::string device_id_prefix(std::string_view resource);

}  // namespace berth::node
