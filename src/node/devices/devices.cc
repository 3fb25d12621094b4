#include "node/devices/devices.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <sys/stat.h>

#include "base/text.h"
#include "node/files.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;

constexpr char kNvidia[] = "nvidia.com/gpu";
constexpr char kAmd[] = "amd.com/gpu";
constexpr int64_t kMebibyte = 1 << 20;

std::string label_of(std::string_view name) {
  std::string label;
  for (const char c : name)
    label += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ? c : '-';
  return label;
}

std::string user_name(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer(16384, '\0');
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return entry.pw_name;
  return std::to_string(uid);
}

/// A process by its command line, without arguments that may hold secrets.
DeviceUser describe(const std::string& root, int pid, int64_t memory_bytes) {
  const std::string directory = fmt::format("{}/proc/{}", root, pid);
  DeviceUser user{.pid = pid, .command = "", .user = "", .memory_bytes = memory_bytes};
  const std::string name = read_file(directory + "/comm").value_or("");
  user.command = trim(name);
  if (user.command.empty()) user.command = "?";
  struct stat status{};
  if (::stat(directory.c_str(), &status) == 0) user.user = user_name(status.st_uid);
  return user;
}

int numa_node(const std::string& root, const std::string& bus_id) {
  const std::string text =
      read_file(root + "/sys/bus/pci/devices/" + bus_id + "/numa_node").value_or("");
  int node = -1;
  std::from_chars(text.data(), text.data() + text.size(), node);
  return node;
}

/// Names for groups of devices that all reach each other: after the lowest index of each.
std::vector<std::string> link_domains(const std::vector<NvmlDevice>& devices) {
  std::vector<std::string> names;
  for (const NvmlDevice& device : devices) {
    const unsigned first =
        std::ranges::min(device.linked.empty() ? std::vector{device.index} : device.linked);
    names.push_back(
        device.linked.empty() ? "" : fmt::format("nvlink-{}", std::min(first, device.index)));
  }
  return names;
}

std::string join_uuids(const std::vector<const Device*>& devices) {
  std::string result;
  for (const Device* device : devices) result += (result.empty() ? "" : ",") + device->uuid;
  return result;
}

void add_share(const std::vector<AssignedDevice>& assigned, ContainerEdits& edits) {
  std::string limits;
  bool shared = false;
  int64_t milli = 1000;
  int64_t memory = 0;
  for (size_t i = 0; i < assigned.size(); ++i) {
    milli = std::min(milli, assigned[i].milli);
    shared = shared || assigned[i].milli < 1000 || assigned[i].memory_bytes > 0;
    if (assigned[i].memory_bytes == 0) continue;
    memory = assigned[i].memory_bytes;
    limits += fmt::format("{}{}={}M", limits.empty() ? "" : ",", i, memory / kMebibyte);
  }
  if (!shared) return;
  edits.env.push_back(fmt::format("BERTH_DEVICE_FRACTION={}.{:03}", milli / 1000, milli % 1000));
  if (memory > 0) edits.env.push_back(fmt::format("BERTH_DEVICE_MEMORY_BYTES={}", memory));
  if (assigned.front().resource != kNvidia) return;
  // A percentage of at least one: none at all would be no limit.
  edits.env.push_back(
      fmt::format("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE={}", std::max<int64_t>(1, milli / 10)));
  if (!limits.empty()) edits.env.push_back("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=" + limits);
}

}  // namespace

std::string variable_of(std::string_view resource) {
  std::string name;
  for (const unsigned char c : resource)
    name += std::isalnum(c) != 0 ? static_cast<char>(std::toupper(c)) : '_';
  return name;
}

Result<std::unique_ptr<Devices>> Devices::open(DevicesOptions options) {
  std::unique_ptr<Devices> devices(new Devices(std::move(options)));
  std::map<std::string, int> seen;
  for (const EmulatedDevices& spec : devices->options_.emulated) {
    if (++seen[spec.resource] > 1)
      return fail(ErrorCode::kInvalid, fmt::format("`{}` is emulated twice", spec.resource),
                  "--emulate-device", "give each resource once");
  }
  if (devices->emulates(kNvidia)) return devices;
  auto nvml = Nvml::open(devices->options_.nvml_library);
  if (nvml)
    devices->nvml_ = *std::move(nvml);
  else if (nvml.error().code != ErrorCode::kNotFound)
    return std::unexpected(std::move(nvml).error());
  return devices;
}

bool Devices::emulates(std::string_view resource) const {
  return std::ranges::find(options_.emulated, resource, &EmulatedDevices::resource) !=
         options_.emulated.end();
}

Result<std::vector<Device>> Devices::discover() {
  BERTH_TRY(std::vector<Device> all, discover_nvidia());
  BERTH_TRY(std::vector<Device> described, discover_described());
  std::ranges::move(described, std::back_inserter(all));
  for (const EmulatedDevices& spec : options_.emulated) {
    std::vector<Device> some = emulate_devices(spec);
    std::ranges::move(some, std::back_inserter(all));
  }
  return all;
}

Result<std::vector<Device>> Devices::discover_nvidia() {
  std::vector<Device> result;
  if (!nvml_) return result;
  BERTH_TRY(const std::vector<NvmlDevice> found, nvml_->devices());
  const std::vector<std::string> domains = link_domains(found);
  for (size_t i = 0; i < found.size(); ++i) {
    Device device;
    device.resource = kNvidia;
    device.id = fmt::format("gpu-{}", found[i].minor);
    device.uuid = found[i].uuid;
    device.model = label_of(found[i].name);
    device.memory_bytes = found[i].memory_bytes;
    device.numa = numa_node(options_.root, found[i].pci_bus_id);
    device.link_domain = domains[i];
    device.healthy = found[i].healthy;
    device.busy_by = foreign_users(found[i].index);
    device.device_nodes = {fmt::format("/dev/nvidia{}", found[i].minor)};
    result.push_back(std::move(device));
  }
  return result;
}

Result<CdiKinds> Devices::cdi_kinds() const {
  std::vector<std::string> directories;
  for (const std::string& directory : options_.cdi_dirs)
    directories.push_back(options_.root + directory);
  return CdiSpecs::load(directories);
}

/// NVIDIA's own are known better by the driver; there, specs only say how they are shown.
bool Devices::is_described(std::string_view resource) const {
  return resource.contains('/') && resource != kNvidia && !emulates(resource);
}

Result<std::vector<Device>> Devices::discover_described() const {
  BERTH_TRY(const CdiKinds kinds, cdi_kinds());
  std::vector<Device> result;
  for (const auto& [kind, specs] : kinds) {
    if (!is_described(kind)) continue;
    for (const std::string& name : specs.device_names()) {
      Device device;
      device.resource = kind;
      device.id = fmt::format("{}-{}", device_id_prefix(kind), name);
      device.uuid = fmt::format("{}={}", kind, name);
      for (const DeviceNode& node : specs.find({name})->device_nodes) {
        device.device_nodes.push_back(node.path);
        device.healthy = device.healthy && fs::exists(options_.root + node.host_path);
      }
      result.push_back(std::move(device));
    }
  }
  return result;
}

std::vector<DeviceUser> Devices::foreign_users(unsigned index) const {
  std::vector<DeviceUser> users;
  const auto processes = nvml_->processes(index);
  if (!processes) return users;
  for (const NvmlProcess& process : *processes) {
    const int pid = static_cast<int>(process.pid);
    if (!options_.is_own || !options_.is_own(pid))
      users.push_back(describe(options_.root, pid, process.memory_bytes));
  }
  return users;
}

Result<ContainerEdits> Devices::edits_for(const std::vector<AssignedDevice>& assigned) {
  ContainerEdits edits;
  BERTH_TRY(const std::vector<Device> known, discover());
  std::map<std::string, std::vector<const Device*>> by_resource;
  for (const AssignedDevice& one : assigned) {
    const auto device = std::ranges::find_if(known, [&](const Device& candidate) {
      return candidate.resource == one.resource && candidate.id == one.id;
    });
    if (device == known.end())
      return fail(ErrorCode::kNotFound,
                  fmt::format("this machine has no device `{}` of {}", one.id, one.resource));
    by_resource[one.resource].push_back(&*device);
  }
  for (const auto& [resource, devices] : by_resource) {
    std::vector<std::string> ids;
    for (const Device* device : devices) ids.push_back(device->id);
    edits.env.push_back(
        fmt::format("BERTH_DEVICES_{}={}", variable_of(resource), fmt::join(ids, ",")));
  }
  const auto nvidia = by_resource.find(kNvidia);
  if (nvidia == by_resource.end()) {
    edits.env.emplace_back("NVIDIA_VISIBLE_DEVICES=void");
  } else {
    edits.env.push_back("NVIDIA_VISIBLE_DEVICES=" + join_uuids(nvidia->second));
    edits.env.push_back("CUDA_VISIBLE_DEVICES=" + join_uuids(nvidia->second));
    if (!emulates(kNvidia)) {
      BERTH_TRY(const ContainerEdits nodes, nvidia_nodes(nvidia->second));
      merge_edits(nodes, edits);
    }
  }
  for (const auto& [resource, devices] : by_resource) {
    if (!is_described(resource)) continue;
    BERTH_TRY(const ContainerEdits described, described_edits(resource, devices));
    merge_edits(described, edits);
  }
  // Real ones are numbered anew in each container: those that it is shown are those that it has.
  if (const auto amd = by_resource.find(kAmd); amd != by_resource.end() && emulates(kAmd))
    edits.env.push_back("ROCR_VISIBLE_DEVICES=" + join_uuids(amd->second));
  add_share(assigned, edits);
  return edits;
}

Result<ContainerEdits> Devices::described_edits(const std::string& resource,
                                                const std::vector<const Device*>& devices) const {
  BERTH_TRY(const CdiKinds kinds, cdi_kinds());
  const auto specs = kinds.find(resource);
  ContainerEdits edits;
  for (const Device* device : devices) {
    const std::string name = device->uuid.substr(device->uuid.find('=') + 1);
    const ContainerEdits* found = specs == kinds.end() ? nullptr : specs->second.find({name});
    if (found == nullptr)
      return fail(ErrorCode::kNotFound, "no longer described to the Container Device Interface",
                  device->uuid);
    merge_edits(*found, edits);
  }
  merge_edits(specs->second.common(), edits);
  for (DeviceNode& node : edits.device_nodes) node.host_path.insert(0, options_.root);
  return edits;
}

Result<ContainerEdits> Devices::nvidia_nodes(const std::vector<const Device*>& devices) const {
  BERTH_TRY(CdiKinds kinds, cdi_kinds());
  const CdiSpecs specs = std::move(kinds[kNvidia]);
  ContainerEdits edits;
  bool all_in_specs = !specs.empty();
  for (const Device* device : devices) {
    const std::string number = device->id.substr(device->id.rfind('-') + 1);
    const ContainerEdits* found = specs.find({device->uuid, number, "gpu" + number});
    if (found != nullptr) merge_edits(*found, edits);
    all_in_specs = all_in_specs && found != nullptr;
  }
  if (all_in_specs) {
    merge_edits(specs.common(), edits);
    // Berth has said already which devices are visible, by UUID.
    std::erase_if(edits.env, [](const std::string& variable) {
      return variable.starts_with("NVIDIA_VISIBLE_DEVICES=");
    });
    return edits;
  }
  ContainerEdits plain;
  const auto add_node = [&](const std::string& path) {
    if (fs::exists(options_.root + path))
      plain.device_nodes.push_back({.path = path, .host_path = options_.root + path});
  };
  for (const Device* device : devices) {
    for (const std::string& path : device->device_nodes) add_node(path);
  }
  for (const char* path : {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"})
    add_node(path);
  return plain;
}

Result<std::vector<DeviceSample>> Devices::sample() {
  std::vector<DeviceSample> result;
  if (!nvml_) return result;
  BERTH_TRY(const std::vector<NvmlDevice> devices, nvml_->devices());
  BERTH_TRY(const std::vector<NvmlSample> samples, nvml_->sample());
  for (const NvmlSample& sample : samples) {
    const auto device = std::ranges::find(devices, sample.uuid, &NvmlDevice::uuid);
    if (device != devices.end())
      result.push_back({.id = fmt::format("gpu-{}", device->minor),
                        .compute_percent = sample.compute_percent,
                        .memory_used_bytes = sample.memory_used_bytes});
  }
  return result;
}

}  // namespace berth::node
