// A library with NVML's names and layouts, standing for a machine of two linked H100 and one A10
// that somebody uses. It proves the way through dlopen, where there is no driver.

#include <cstring>

#include "node/devices/nvml_abi.h"

namespace {

struct Gpu {
  const char* uuid;
  const char* name;
  const char* bus;
  unsigned minor;
  unsigned long long memory;
};
constexpr Gpu kGpus[] = {
    {"GPU-aaaa", "NVIDIA H100 80GB HBM3", "00000000:3B:00.0", 0, 80ULL << 30},
    {"GPU-bbbb", "NVIDIA H100 80GB HBM3", "00000000:AF:00.0", 1, 80ULL << 30},
    {"GPU-cccc", "NVIDIA A10", "00000000:D8:00.0", 3, 24ULL << 30},
};

nvmlDevice_t handle_of(unsigned long index) {
  nvmlDevice_t device = nullptr;
  ++index;
  std::memcpy(&device, &index, sizeof(device));
  return device;
}
unsigned long index_of(nvmlDevice_t device) {
  unsigned long index = 0;
  std::memcpy(&index, &device, sizeof(index));
  return index - 1;
}
int copy(const char* text, char* out, unsigned size) {
  if (std::strlen(text) >= size) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::strcpy(out, text);
  return NVML_SUCCESS;
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  return NVML_SUCCESS;
}
int nvmlShutdown() {
  return NVML_SUCCESS;
}
const char* nvmlErrorString(int) {
  return "made up";
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 3;
  return NVML_SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t* device) {
  if (index >= 3) return 2;
  *device = handle_of(index);
  return NVML_SUCCESS;
}
int nvmlDeviceGetUUID(nvmlDevice_t device, char* out, unsigned size) {
  return copy(kGpus[index_of(device)].uuid, out, size);
}
int nvmlDeviceGetName(nvmlDevice_t device, char* out, unsigned size) {
  return copy(kGpus[index_of(device)].name, out, size);
}
int nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  memory->total = kGpus[index_of(device)].memory;
  memory->used = 5ULL << 30;
  memory->free = memory->total - memory->used;
  return NVML_SUCCESS;
}
int nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned* minor) {
  *minor = kGpus[index_of(device)].minor;
  return NVML_SUCCESS;
}
int nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t* pci) {
  return copy(kGpus[index_of(device)].bus, pci->busId, sizeof(pci->busId));
}
int nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t* utilization) {
  utilization->gpu = 10U * static_cast<unsigned>(index_of(device) + 1);
  return NVML_SUCCESS;
}
int nvmlDeviceGetP2PStatus(nvmlDevice_t a, nvmlDevice_t b, int caps, int* status) {
  const bool linked = caps == NVML_P2P_CAPS_INDEX_NVLINK && index_of(a) < 2 && index_of(b) < 2;
  *status = linked ? NVML_P2P_STATUS_OK : 4;
  return NVML_SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned* count,
                                            nvmlProcessInfo_t* processes) {
  *count = index_of(device) == 2 ? 2 : 0;
  if (*count == 2) {
    processes[0] = {
        .pid = 1, .usedGpuMemory = 3ULL << 30, .gpuInstanceId = 0, .computeInstanceId = 0};
    processes[1] = {.pid = 77, .usedGpuMemory = ~0ULL, .gpuInstanceId = 0, .computeInstanceId = 0};
  }
  return NVML_SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t, unsigned* count, nvmlProcessInfo_t*) {
  *count = 0;
  return NVML_ERROR_NOT_SUPPORTED;
}

}  // extern "C"
