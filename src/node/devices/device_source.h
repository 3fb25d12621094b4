#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace berth::node {

/// A process that Berth did not start and that holds memory of a device.
struct DeviceUser {
  int pid = 0;
  std::string command;
  std::string user;
  int64_t memory_bytes = 0;
};

/// One device of the machine.
struct Device {
  std::string resource;  ///< the extended resource that it counts for: `nvidia.com/gpu`
  std::string id;        ///< unique on the node and the same after a restart: `gpu-0`
  std::string uuid;      ///< the vendor's name for it: `GPU-8f1c...`
  std::string model;     ///< `NVIDIA-H100-80GB-HBM3`; goes into a label
  int64_t memory_bytes = 0;
  int numa = -1;            ///< -1: unknown
  std::string link_domain;  ///< devices with the same non-empty name share a fast link
  bool healthy = true;
  std::vector<DeviceUser> busy_by;  ///< non-empty makes the device busy
  std::vector<std::string> device_nodes;
};

/// A device, or a share of one, that a pod was given.
struct AssignedDevice {
  std::string resource;
  std::string id;
  int64_t milli = 1000;      ///< thousandths of the device's compute; 1000 is all of it
  int64_t memory_bytes = 0;  ///< 0: all of it
};

struct DeviceNode {
  std::string path;       ///< in the container
  std::string host_path;  ///< type, major and minor are read from here
  std::string permissions = "rw";
};

struct DeviceMount {
  std::string source;
  std::string target;
  bool read_only = true;
};

/// A program of the device's vendor that the runtime runs while it makes the container, for example
/// to put the driver's libraries into the image's linker cache.
struct DeviceHook {
  std::string stage;  ///< as in the OCI runtime specification: `createContainer`
  std::string path;
  std::vector<std::string> args;  ///< with the program's own name
  std::vector<std::string> env;

  bool operator==(const DeviceHook&) const = default;
};

/// What a container needs to see its devices, and only those.
struct ContainerEdits {
  std::vector<std::string> env;  ///< NAME=VALUE; wins over the image's, not over the pod's
  std::vector<DeviceNode> device_nodes;
  std::vector<DeviceMount> mounts;
  std::vector<DeviceHook> hooks = {};
};

/// How busy a device is.
struct DeviceSample {
  std::string id;
  int compute_percent = 0;  ///< of the driver's last sampling period
  int64_t memory_used_bytes = 0;
};

/// Finds devices and says how to give them to containers. Calls block (they ask a driver) and may
/// come from several threads at once.
class DeviceSource {
 public:
  virtual ~DeviceSource() = default;

  /// Every device, with who uses it now. In a stable order.
  virtual Result<std::vector<Device>> discover() = 0;
  /// Fails with `kNotFound` when a device is unknown. An empty list hides all devices
  /// (`NVIDIA_VISIBLE_DEVICES=void`).
  virtual Result<ContainerEdits> edits_for(const std::vector<AssignedDevice>& devices) = 0;
  /// How busy each device is now. Devices that cannot tell (emulated ones) are left out.
  virtual Result<std::vector<DeviceSample>> sample() { return std::vector<DeviceSample>{}; }
};

}  // namespace berth::node
