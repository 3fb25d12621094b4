#include "node/devices/devices.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST(ParseEmulatedDevices, ReadsSpecs) {
  const auto spec = parse_emulated_devices("nvidia.com/gpu=4:80Gi:NVIDIA-H100");
  ASSERT_TRUE(spec) << spec.error().to_string();
  EXPECT_EQ(spec->resource, "nvidia.com/gpu");
  EXPECT_EQ(spec->count, 4);
  EXPECT_EQ(spec->memory_bytes, int64_t{80} << 30);
  EXPECT_EQ(spec->model, "NVIDIA-H100");
  EXPECT_EQ(parse_emulated_devices("amd.com/gpu=1:1G")->memory_bytes, 1'000'000'000);
}

TEST(ParseEmulatedDevices, SaysWhatIsWrong) {
  const auto message = [](std::string_view text) {
    const auto spec = parse_emulated_devices(text);
    return spec ? "accepted" : spec.error().to_string();
  };
  EXPECT_THAT(message("nvidia.com/gpu"), HasSubstr("no `=`"));
  EXPECT_THAT(message("gpu=4:80Gi"), HasSubstr("`gpu` is not an extended resource"));
  EXPECT_THAT(message("a/b/c=4:80Gi"), HasSubstr("not an extended resource"));
  EXPECT_THAT(message("nvidia.com/gpu=4"), HasSubstr("memory size"));
  EXPECT_THAT(message("nvidia.com/gpu=x:80Gi"), HasSubstr("`x` is not a number"));
  EXPECT_THAT(message("nvidia.com/gpu=0:80Gi"), HasSubstr("from 1 to 64"));
  EXPECT_THAT(message("nvidia.com/gpu=99999999999:80Gi"), HasSubstr("from 1 to 64"));
  EXPECT_THAT(message("nvidia.com/gpu=4:lots"), HasSubstr("`lots` is not a memory size"));
  EXPECT_THAT(message("nvidia.com/gpu=4:0"), HasSubstr("not a memory size"));
  EXPECT_THAT(message("nvidia.com/gpu=4:80Gi:a b"), HasSubstr("`a b` is not a model"));
  EXPECT_THAT(message("nvidia.com/gpu=4:80Gi:"), HasSubstr("is not a model"));
  EXPECT_THAT(message("nvidia.com/gpu=4:1Gi:a:b"), HasSubstr("write it as nvidia.com/gpu=4:80Gi"));
}

class DevicesTest : public ::testing::Test {
 protected:
  DevicesTest() {
    std::string pattern = (fs::temp_directory_path() / "berth-devices-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    put("/sys/bus/pci/devices/0000:af:00.0/numa_node", "1\n");
    put("/proc/1/comm", "python3\n");
    for (const char* node : {"/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia3", "/dev/nvidiactl"})
      put(node, "");
  }
  ~DevicesTest() override { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  std::unique_ptr<Devices> real(std::function<bool(int)> is_own = {}) {
    auto devices = Devices::open(
        {.is_own = std::move(is_own), .nvml_library = BERTH_FAKE_NVML, .root = root_});
    EXPECT_TRUE(devices) << (devices ? "" : devices.error().to_string());
    return devices ? *std::move(devices) : nullptr;
  }
  std::unique_ptr<Devices> emulated(std::string_view text) {
    return *Devices::open({.emulated = {*parse_emulated_devices(text)}});
  }
  static std::vector<std::string> nodes(const ContainerEdits& edits) {
    std::vector<std::string> paths;
    for (const DeviceNode& node : edits.device_nodes) paths.push_back(node.path);
    return paths;
  }

  std::string root_;
};

TEST_F(DevicesTest, FindsGpusThroughTheDriver) {
  const auto found = real()->discover();
  ASSERT_TRUE(found) << found.error().to_string();
  ASSERT_EQ(found->size(), 3U);
  const Device& second = (*found)[1];
  EXPECT_EQ(second.resource, "nvidia.com/gpu");
  EXPECT_EQ(second.id, "gpu-1");
  EXPECT_EQ(second.uuid, "GPU-bbbb");
  EXPECT_EQ(second.model, "NVIDIA-H100-80GB-HBM3");
  EXPECT_EQ(second.memory_bytes, int64_t{80} << 30);
  EXPECT_EQ(second.numa, 1);
  EXPECT_EQ((*found)[0].numa, -1);
  EXPECT_FALSE(second.link_domain.empty());
  EXPECT_EQ((*found)[0].link_domain, second.link_domain);
  EXPECT_EQ((*found)[2].link_domain, "");
  EXPECT_EQ((*found)[2].id, "gpu-3") << "after its device node";
}

TEST_F(DevicesTest, FindsWhatVendorsDescribe) {
  put("/etc/cdi/fpga.yaml",
      "cdiVersion: 0.6.0\n"
      "kind: xilinx.com/fpga\n"
      "containerEdits: {env: [XRT=1]}\n"
      "devices:\n"
      "- {name: '10', containerEdits: {deviceNodes: [{path: /dev/dri/renderD138}]}}\n"
      "- {name: '2', containerEdits: {deviceNodes: [{path: /dev/dri/renderD130}]}}\n"
      "- {name: card-of-2, containerEdits: {deviceNodes: [{path: /dev/dri/renderD130}]}}\n"
      "- name: all\n"
      "  containerEdits: {deviceNodes: [{path: /dev/dri/renderD130}, {path: "
      "/dev/dri/renderD138}]}\n");
  put("/etc/cdi/amd.json", R"({"kind": "amd.com/gpu", "devices": [{"name": "0", "containerEdits":
      {"deviceNodes": [{"path": "/dev/kfd"}, {"path": "/dev/dri/renderD128"}]}}]})");
  for (const char* node : {"/dev/dri/renderD130", "/dev/kfd", "/dev/dri/renderD128"}) put(node, "");
  const auto devices = *Devices::open({.nvml_library = "none", .root = root_});
  const auto found = devices->discover();
  ASSERT_TRUE(found) << found.error().to_string();
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[0].resource, "amd.com/gpu");
  EXPECT_EQ((*found)[0].id, "amd-gpu-0");
  EXPECT_EQ((*found)[1].id, "xilinx-fpga-2") << "one a device, by its shortest name";
  EXPECT_TRUE((*found)[1].healthy);
  EXPECT_EQ((*found)[2].id, "xilinx-fpga-10");
  EXPECT_FALSE((*found)[2].healthy) << "its node is not there";

  const auto edits = devices->edits_for({{.resource = "xilinx.com/fpga", .id = "xilinx-fpga-2"}});
  ASSERT_TRUE(edits) << edits.error().to_string();
  EXPECT_THAT(nodes(*edits), ElementsAre("/dev/dri/renderD130"));
  EXPECT_EQ(edits->device_nodes[0].host_path, root_ + "/dev/dri/renderD130");
  EXPECT_THAT(edits->env, Contains("XRT=1"));
  const auto amd = devices->edits_for({{.resource = "amd.com/gpu", .id = "amd-gpu-0"}});
  EXPECT_THAT(nodes(*amd), ElementsAre("/dev/kfd", "/dev/dri/renderD128"));
}

TEST_F(DevicesTest, NamesWhoElseHoldsMemory) {
  auto found = real()->discover();
  EXPECT_THAT((*found)[0].busy_by, IsEmpty());
  ASSERT_EQ((*found)[2].busy_by.size(), 2U);
  const DeviceUser& user = (*found)[2].busy_by[0];
  EXPECT_EQ(user.pid, 1);
  EXPECT_EQ(user.command, "python3");
  EXPECT_FALSE(user.user.empty());
  EXPECT_EQ(user.memory_bytes, int64_t{3} << 30);

  found = real([](int pid) { return pid == 1 || pid == 77; })->discover();
  EXPECT_THAT((*found)[2].busy_by, IsEmpty()) << "these are Berth's own";
}

TEST_F(DevicesTest, ShowsTheAssignedDevicesAndNoOthers) {
  const auto edits = real()->edits_for({{.resource = "nvidia.com/gpu", .id = "gpu-1"},
                                        {.resource = "nvidia.com/gpu", .id = "gpu-3"}});
  ASSERT_TRUE(edits) << edits.error().to_string();
  EXPECT_THAT(edits->env, Contains("NVIDIA_VISIBLE_DEVICES=GPU-bbbb,GPU-cccc"));
  EXPECT_THAT(edits->env, Contains("CUDA_VISIBLE_DEVICES=GPU-bbbb,GPU-cccc"));
  EXPECT_THAT(edits->env, Contains("BERTH_DEVICES_NVIDIA_COM_GPU=gpu-1,gpu-3"));
  EXPECT_THAT(edits->env, Not(Contains(HasSubstr("MPS"))));
  EXPECT_THAT(nodes(*edits), ElementsAre("/dev/nvidia1", "/dev/nvidia3", "/dev/nvidiactl"));
}

TEST_F(DevicesTest, WithoutDevicesNoneShow) {
  const auto edits = real()->edits_for({});
  EXPECT_THAT(edits->env, ElementsAre("NVIDIA_VISIBLE_DEVICES=void"));
  EXPECT_THAT(edits->device_nodes, IsEmpty());
}

TEST_F(DevicesTest, AnUnknownDeviceIsAnError) {
  const auto edits = real()->edits_for({{.resource = "nvidia.com/gpu", .id = "gpu-9"}});
  ASSERT_FALSE(edits);
  EXPECT_EQ(edits.error().code, ErrorCode::kNotFound);
}

TEST_F(DevicesTest, VendorSpecsWin) {
  put("/etc/cdi/nvidia.yaml",
      "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n"
      "devices:\n- name: \"0\"\n  containerEdits:\n    deviceNodes:\n    - path: /dev/nvidia0\n"
      "    - path: /dev/dri/renderD128\n"
      "containerEdits:\n  env: [NVIDIA_VISIBLE_DEVICES=void, X=y]\n"
      "  deviceNodes:\n  - path: /dev/nvidiactl\n"
      "  mounts:\n  - hostPath: /usr/lib/libcuda.so.1\n    containerPath: /usr/lib/libcuda.so.1\n"
      "    options: [ro, nosuid]\n"
      "  hooks:\n  - hookName: createContainer\n    path: /usr/bin/nvidia-cdi-hook\n"
      "    args: [nvidia-cdi-hook, update-ldcache]\n");
  put("/etc/cdi/other.json", R"({"kind":"vendor.com/nic","devices":[]})");
  const auto edits = real()->edits_for({{.resource = "nvidia.com/gpu", .id = "gpu-0"}});
  ASSERT_TRUE(edits) << edits.error().to_string();
  EXPECT_THAT(nodes(*edits), ElementsAre("/dev/nvidia0", "/dev/dri/renderD128", "/dev/nvidiactl"));
  ASSERT_EQ(edits->mounts.size(), 1U);
  EXPECT_TRUE(edits->mounts[0].read_only);
  ASSERT_EQ(edits->hooks.size(), 1U);
  EXPECT_EQ(edits->hooks[0].stage, "createContainer");
  EXPECT_THAT(edits->env, Contains("X=y"));
  EXPECT_THAT(edits->env, Not(Contains("NVIDIA_VISIBLE_DEVICES=void")));

  put("/etc/cdi/broken.json", "{");
  const auto broken = real()->edits_for({{.resource = "nvidia.com/gpu", .id = "gpu-0"}});
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().to_string(), HasSubstr("broken.json"));
}

TEST_F(DevicesTest, MeasuresUse) {
  const auto samples = real()->sample();
  ASSERT_TRUE(samples);
  ASSERT_EQ(samples->size(), 3U);
  EXPECT_EQ((*samples)[2].id, "gpu-3");
  EXPECT_EQ((*samples)[2].compute_percent, 30);
  EXPECT_EQ((*samples)[2].memory_used_bytes, int64_t{5} << 30);
}

TEST_F(DevicesTest, EmulatedDevicesHaveVariablesAndNoNodes) {
  auto devices = emulated("nvidia.com/gpu=2:80Gi:H100");
  const auto found = devices->discover();
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[1].id, "gpu-1");
  EXPECT_EQ((*found)[1].model, "H100");
  EXPECT_EQ((*found)[0].link_domain, (*found)[1].link_domain);
  const auto edits = devices->edits_for({{.resource = "nvidia.com/gpu", .id = "gpu-1"}});
  EXPECT_THAT(edits->env, Contains("NVIDIA_VISIBLE_DEVICES=EMULATED-gpu-1"));
  EXPECT_THAT(edits->env, Contains("BERTH_DEVICES_NVIDIA_COM_GPU=gpu-1"));
  EXPECT_THAT(edits->device_nodes, IsEmpty());
  EXPECT_THAT(*devices->sample(), IsEmpty());
}

TEST_F(DevicesTest, OtherVendorsHaveTheirOwnVariable) {
  auto devices = emulated("amd.com/gpu=2:192Gi");
  EXPECT_EQ(devices->discover()->front().id, "amd-gpu-0");
  const auto edits = devices->edits_for({{.resource = "amd.com/gpu", .id = "amd-gpu-1"}});
  EXPECT_THAT(edits->env, Contains("ROCR_VISIBLE_DEVICES=EMULATED-amd-gpu-1"));
  EXPECT_THAT(edits->env, Contains("NVIDIA_VISIBLE_DEVICES=void"));
}

TEST_F(DevicesTest, AShareHasLimits) {
  const auto edits = emulated("nvidia.com/gpu=1:80Gi")
                         ->edits_for({{.resource = "nvidia.com/gpu",
                                       .id = "gpu-0",
                                       .milli = 250,
                                       .memory_bytes = int64_t{20} << 30}});
  EXPECT_THAT(edits->env, Contains("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=25"));
  EXPECT_THAT(edits->env, Contains("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0=20480M"));
  EXPECT_THAT(edits->env, Contains("BERTH_DEVICE_FRACTION=0.250"));
  EXPECT_THAT(edits->env, Contains(StartsWith("BERTH_DEVICE_MEMORY_BYTES=")));
}

TEST_F(DevicesTest, AMachineWithoutADriverHasNoDevices) {
  auto devices = Devices::open({.nvml_library = "libno-such-driver.so.1"});
  ASSERT_TRUE(devices);
  EXPECT_THAT(*(*devices)->discover(), IsEmpty());
  const auto broken = Devices::open({.nvml_library = "libm.so.6"});
  ASSERT_FALSE(broken) << "a library that lacks the functions is worth knowing of";
  EXPECT_EQ(broken.error().code, ErrorCode::kUnsupported);
}

TEST_F(DevicesTest, EmulatingTwiceIsAnError) {
  const auto spec = *parse_emulated_devices("a.b/c=1:1Gi");
  EXPECT_FALSE(Devices::open({.emulated = {spec, spec}}));
}

}  // namespace
}  // namespace berth::node
