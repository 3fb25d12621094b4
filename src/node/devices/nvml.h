#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace berth::node {

struct NvmlProcess {
  unsigned pid = 0;
  int64_t memory_bytes = 0;  ///< 0 where the driver does not say
};

struct NvmlDevice {
  unsigned index = 0;
  unsigned minor = 0;  ///< /dev/nvidia<minor>
  std::string uuid;
  std::string name;
  std::string pci_bus_id;  ///< as in /sys/bus/pci/devices: `0000:3b:00.0`
  int64_t memory_bytes = 0;
  bool healthy = true;  ///< false: the driver lost it
  /// Devices (by index) that it reaches over NVLink, through a switch or not.
  std::vector<unsigned> linked;
};

struct NvmlSample {
  std::string uuid;
  int compute_percent = 0;  ///< of the last sampling period of the driver
  int64_t memory_used_bytes = 0;
};

/// NVIDIA's management library, opened while running: Berth is built without it.
/// Thread-safe, as the library is.
class Nvml {
 public:
  /// `kNotFound` when there is no such library, so no NVIDIA driver; another error when the library
  /// is there but does not work, which the user should know.
  static Result<std::unique_ptr<Nvml>> open(const std::string& library = "libnvidia-ml.so.1");
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  Result<std::vector<NvmlDevice>> devices() const;
  /// Who holds memory of the device, for computing or for graphics.
  Result<std::vector<NvmlProcess>> processes(unsigned index) const;
  Result<std::vector<NvmlSample>> sample() const;

 private:
  struct Library;
  explicit Nvml(std::unique_ptr<Library> library);

  std::unique_ptr<Library> library_;
};

}  // namespace berth::node
