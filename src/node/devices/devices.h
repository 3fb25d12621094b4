#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/devices/cdi.h"
#include "node/devices/device_source.h"
#include "node/devices/emulated.h"
#include "node/devices/nvml.h"

namespace berth::node {

struct DevicesOptions {
  std::vector<EmulatedDevices> emulated = {};
  /// Did Berth start this process (as a container of its own)? The memory that others hold makes a
  /// device busy.
  std::function<bool(int pid)> is_own = {};
  std::string nvml_library = "libnvidia-ml.so.1";
  std::vector<std::string> cdi_dirs = {"/etc/cdi", "/var/run/cdi"};
  std::string root = {};  ///< where /sys, /proc and /etc are looked for; tests use another
};

/// The machine's devices: NVIDIA's through NVML, those of every other kind that a vendor's tool
/// describes to the Container Device Interface (`amd.com/gpu`, `xilinx.com/fpga`), and emulated
/// ones. Emulating a resource hides the real devices of it. Thread-safe.
///
/// Containers are told what they got by the usual variables: NVIDIA_VISIBLE_DEVICES and
/// CUDA_VISIBLE_DEVICES, ROCR_VISIBLE_DEVICES, and for every resource BERTH_DEVICES_<RESOURCE>
/// (upper case, other characters as `_`) with the ids. A share adds the limits of NVIDIA's
/// multi-process service (which count where it runs) and BERTH_DEVICE_FRACTION,
/// BERTH_DEVICE_MEMORY_BYTES, by which an engine can size itself.
class Devices final : public DeviceSource {
 public:
  /// A machine without NVIDIA's driver is fine; a driver that does not work is an error.
  static Result<std::unique_ptr<Devices>> open(DevicesOptions options);

  Result<std::vector<Device>> discover() override;
  Result<ContainerEdits> edits_for(const std::vector<AssignedDevice>& devices) override;
  Result<std::vector<DeviceSample>> sample() override;

 private:
  explicit Devices(DevicesOptions options) : options_(std::move(options)) {}

  Result<std::vector<Device>> discover_nvidia();
  Result<std::vector<Device>> discover_described() const;
  Result<CdiKinds> cdi_kinds() const;
  bool is_described(std::string_view resource) const;
  Result<ContainerEdits> described_edits(const std::string& resource,
                                         const std::vector<const Device*>& devices) const;
  std::vector<DeviceUser> foreign_users(unsigned index) const;
  bool emulates(std::string_view resource) const;
  Result<ContainerEdits> nvidia_nodes(const std::vector<const Device*>& devices) const;

  const DevicesOptions options_;
  std::unique_ptr<Nvml> nvml_;  // null: no driver, or hidden by emulation
};

/// `nvidia.com/gpu` as `NVIDIA_COM_GPU`.
std::string variable_of(std::string_view resource);

}  // namespace berth::node
