#include "node/devices/nvml.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <utility>

#include <dlfcn.h>
#include <fmt/format.h>

#include "node/devices/nvml_abi.h"

namespace berth::node {

namespace {

constexpr unsigned kMostProcesses = 1024;
constexpr unsigned long long kUnknownMemory = ~0ULL;

/// `00000000:3B:00.0` as sysfs spells it.
std::string sysfs_bus_id(std::string_view bus_id) {
  std::string result(bus_id);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const size_t colon = result.find(':');
  if (colon != std::string::npos && colon > 4) result = result.substr(colon - 4);
  return result;
}

}  // namespace

struct Nvml::Library {
  ~Library() {
    if (initialised && shutdown != nullptr) shutdown();
    if (handle != nullptr) ::dlclose(handle);
  }

  template <class Function>
  bool bind(Function*& function, std::initializer_list<const char*> names) {
    for (const char* symbol_name : names) {
      if (void* symbol = ::dlsym(handle, symbol_name); symbol != nullptr) {
        static_assert(sizeof(function) == sizeof(symbol));
        std::memcpy(&function, &symbol, sizeof(symbol));
        return true;
      }
    }
    return false;
  }

  /// What is needed; the rest may be missing in an older driver.
  bool bind_all() {
    const bool complete = bind(init, {"nvmlInit_v2"}) && bind(shutdown, {"nvmlShutdown"}) &&
                          bind(count, {"nvmlDeviceGetCount_v2"}) &&
                          bind(by_index, {"nvmlDeviceGetHandleByIndex_v2"}) &&
                          bind(uuid, {"nvmlDeviceGetUUID"}) && bind(name, {"nvmlDeviceGetName"}) &&
                          bind(memory, {"nvmlDeviceGetMemoryInfo"});
    bind(error_string, {"nvmlErrorString"});
    bind(minor, {"nvmlDeviceGetMinorNumber"});
    bind(pci, {"nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2"});
    bind(utilization, {"nvmlDeviceGetUtilizationRates"});
    bind(p2p, {"nvmlDeviceGetP2PStatus"});
    bind(compute,
         {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"});
    bind(graphics,
         {"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2"});
    return complete;
  }

  std::unexpected<Error> error(int code, std::string_view call) const {
    const char* text = error_string == nullptr ? nullptr : error_string(code);
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: {}", call,
                            text == nullptr ? fmt::format("error {}", code) : std::string(text)),
                "the NVIDIA driver", "see whether `nvidia-smi` works, and the kernel's log");
  }

  Result<unsigned> device_count() const {
    unsigned number = 0;
    if (const int code = count(&number); code != NVML_SUCCESS)
      return error(code, "nvmlDeviceGetCount");
    return number;
  }

  using Processes = int(nvmlDevice_t, unsigned*, nvmlProcessInfo_t*);
  bool add_processes(Processes* list, nvmlDevice_t device, std::vector<NvmlProcess>& out) const {
    if (list == nullptr) return true;
    std::array<nvmlProcessInfo_t, kMostProcesses> found{};
    unsigned number = kMostProcesses;
    const int code = list(device, &number, found.data());
    if (code == NVML_ERROR_NOT_SUPPORTED) return true;
    if (code != NVML_SUCCESS && code != NVML_ERROR_INSUFFICIENT_SIZE) return false;
    for (unsigned i = 0; i < std::min(number, kMostProcesses); ++i) {
      const unsigned long long used = found[i].usedGpuMemory;
      const auto bytes = used == kUnknownMemory ? 0 : static_cast<int64_t>(used);
      const auto same = std::ranges::find(out, found[i].pid, &NvmlProcess::pid);
      if (same == out.end())
        out.push_back({.pid = found[i].pid, .memory_bytes = bytes});
      else
        same->memory_bytes = std::max(same->memory_bytes, bytes);
    }
    return true;
  }

  void* handle = nullptr;
  bool initialised = false;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*by_index)(unsigned, nvmlDevice_t*) = nullptr;
  int (*uuid)(nvmlDevice_t, char*, unsigned) = nullptr;
  int (*name)(nvmlDevice_t, char*, unsigned) = nullptr;
  int (*memory)(nvmlDevice_t, nvmlMemory_t*) = nullptr;
  int (*minor)(nvmlDevice_t, unsigned*) = nullptr;
  int (*pci)(nvmlDevice_t, nvmlPciInfo_t*) = nullptr;
  int (*utilization)(nvmlDevice_t, nvmlUtilization_t*) = nullptr;
  int (*p2p)(nvmlDevice_t, nvmlDevice_t, int, int*) = nullptr;
  Processes* compute = nullptr;
  Processes* graphics = nullptr;
};

Nvml::Nvml(std::unique_ptr<Library> library) : library_(std::move(library)) {}
Nvml::~Nvml() = default;

Result<std::unique_ptr<Nvml>> Nvml::open(const std::string& name) {
  auto library = std::make_unique<Library>();
  library->handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library->handle == nullptr)
    return fail(ErrorCode::kNotFound, "there is no NVIDIA driver", name);
  if (!library->bind_all())
    return fail(ErrorCode::kUnsupported, "the library lacks functions that Berth needs", name,
                "update the NVIDIA driver (418 or later)");
  if (const int code = library->init(); code != NVML_SUCCESS) {
    // Installed, but for a machine whose kernel has no such device or module.
    if (code == NVML_ERROR_DRIVER_NOT_LOADED)
      return fail(ErrorCode::kNotFound, "the NVIDIA driver is not loaded", name);
    return library->error(code, "nvmlInit");
  }
  library->initialised = true;
  return std::unique_ptr<Nvml>(new Nvml(std::move(library)));
}

Result<std::vector<NvmlDevice>> Nvml::devices() const {
  BERTH_TRY(const unsigned number, library_->device_count());
  std::vector<NvmlDevice> devices;
  std::vector<nvmlDevice_t> handles;
  for (unsigned index = 0; index < number; ++index) {
    nvmlDevice_t handle = nullptr;
    // A device that this user may not see, or that fell off the bus before Berth started.
    if (library_->by_index(index, &handle) != NVML_SUCCESS) continue;
    std::array<char, 96> text{};
    NvmlDevice device;
    device.index = index;
    device.minor = index;
    if (library_->uuid(handle, text.data(), text.size()) != NVML_SUCCESS) continue;
    device.uuid = text.data();
    if (library_->name(handle, text.data(), text.size()) == NVML_SUCCESS) device.name = text.data();
    nvmlMemory_t memory{};
    if (library_->memory(handle, &memory) == NVML_SUCCESS)
      device.memory_bytes = static_cast<int64_t>(memory.total);
    else
      device.healthy = false;
    if (library_->minor != nullptr) library_->minor(handle, &device.minor);
    nvmlPciInfo_t pci{};
    if (library_->pci != nullptr && library_->pci(handle, &pci) == NVML_SUCCESS)
      device.pci_bus_id = sysfs_bus_id(pci.busId);
    devices.push_back(std::move(device));
    handles.push_back(handle);
  }
  for (size_t a = 0; a < devices.size() && library_->p2p != nullptr; ++a) {
    for (size_t b = 0; b < devices.size(); ++b) {
      int status = -1;
      if (a != b &&
          library_->p2p(handles[a], handles[b], NVML_P2P_CAPS_INDEX_NVLINK, &status) ==
              NVML_SUCCESS &&
          status == NVML_P2P_STATUS_OK)
        devices[a].linked.push_back(devices[b].index);
    }
  }
  return devices;
}

Result<std::vector<NvmlProcess>> Nvml::processes(unsigned index) const {
  nvmlDevice_t handle = nullptr;
  if (const int code = library_->by_index(index, &handle); code != NVML_SUCCESS)
    return library_->error(code, "nvmlDeviceGetHandleByIndex");
  std::vector<NvmlProcess> result;
  if (!library_->add_processes(library_->compute, handle, result) ||
      !library_->add_processes(library_->graphics, handle, result))
    return fail(ErrorCode::kUnavailable, "the processes on a device cannot be listed",
                "the NVIDIA driver", "see whether `nvidia-smi` works");
  return result;
}

Result<std::vector<NvmlSample>> Nvml::sample() const {
  BERTH_TRY(const unsigned number, library_->device_count());
  std::vector<NvmlSample> samples;
  for (unsigned index = 0; index < number; ++index) {
    nvmlDevice_t handle = nullptr;
    std::array<char, 96> text{};
    if (library_->by_index(index, &handle) != NVML_SUCCESS ||
        library_->uuid(handle, text.data(), text.size()) != NVML_SUCCESS)
      continue;
    NvmlSample sample;
    sample.uuid = text.data();
    nvmlUtilization_t utilization{};
    if (library_->utilization != nullptr &&
        library_->utilization(handle, &utilization) == NVML_SUCCESS)
      sample.compute_percent = static_cast<int>(utilization.gpu);
    nvmlMemory_t memory{};
    if (library_->memory(handle, &memory) == NVML_SUCCESS)
      sample.memory_used_bytes = static_cast<int64_t>(memory.used);
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace berth::node
