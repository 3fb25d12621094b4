#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/devices/device_source.h"

namespace berth::node {

/// Which pod holds how much of which device: the last guard against double use, whoever decided.
class DeviceLedger {
 public:
  /// The devices of the machine; what is held stays held, also of a device that went away.
  void set_devices(std::vector<Device> devices);
  const std::vector<Device>& devices() const { return devices_; }

  /// Takes all of them for the pod, or none: fails when a device is unknown or its shares or memory
  /// would exceed the device. A pod that holds already may ask again.
  Result<> take(const std::string& pod_uid, const std::vector<AssignedDevice>& wanted);
  void give_back(const std::string& pod_uid);

 private:
  std::vector<Device> devices_;
  std::map<std::string, std::vector<AssignedDevice>> held_;  ///< by pod
};

}  // namespace berth::node
