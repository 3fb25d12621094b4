#include "node/devices/machine.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MachineTest : public ::testing::Test {
 protected:
  MachineTest() {
    std::string pattern = (fs::temp_directory_path() / "berth-machine-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    put("/proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");
    put("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Fast CPU\n\nprocessor\t: 1\n");
    put("/proc/sys/kernel/osrelease", "6.1.0\n");
    put("/proc/sys/kernel/random/boot_id", "boot\n");
    put("/etc/machine-id", "machine\n");
    put("/etc/os-release", "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n");
    put("/sys/devices/system/cpu/online", "0-3,8\n");
    put("/sys/devices/system/node/node0/cpulist", "0-1,8\n");
    put("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       8192 kB\n");
    put("/sys/devices/system/node/node1/cpulist", "2-3\n");
    put("/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:       8192 kB\n");
    put("/sys/block/nvme0n1/size", "2048\n");
    put("/sys/block/nvme0n1/queue/rotational", "0\n");
    put("/sys/block/nvme0n1/device/model", "Big Disk   \n");
    put("/sys/block/loop0/size", "8\n");
    put("/sys/block/sda/size", "0\n");
  }
  ~MachineTest() override { fs::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(MachineTest, ReadsTheKernelsFiles) {
  const auto machine = discover_machine(root_);
  ASSERT_TRUE(machine) << machine.error().to_string();
  EXPECT_THAT(machine->cpus, ElementsAre(0, 1, 2, 3, 8));
  EXPECT_EQ(machine->memory_bytes, 16384 * 1024);
  EXPECT_EQ(machine->cpu_model, "Fast CPU");
  EXPECT_EQ(machine->kernel, "6.1.0");
  EXPECT_EQ(machine->os_image, "Debian GNU/Linux 12");
  EXPECT_EQ(machine->boot_id, "boot");
  EXPECT_EQ(machine->machine_id, "machine");
  ASSERT_EQ(machine->numa.size(), 2U);
  EXPECT_THAT(machine->numa[1].cpus, ElementsAre(2, 3));
  EXPECT_EQ(machine->numa[1].memory_bytes, 8192 * 1024);
  ASSERT_EQ(machine->disks.size(), 1U);
  EXPECT_EQ(machine->disks[0].name, "nvme0n1");
  EXPECT_EQ(machine->disks[0].model, "Big Disk");
  EXPECT_EQ(machine->disks[0].size_bytes, 1 << 20);
  EXPECT_FALSE(machine->disks[0].rotational);
}

TEST_F(MachineTest, OneNodeWhereTheKernelHasNoNuma) {
  fs::remove_all(root_ + "/sys/devices/system/node");
  const auto machine = discover_machine(root_);
  ASSERT_EQ(machine->numa.size(), 1U);
  EXPECT_EQ(machine->numa[0].cpus, machine->cpus);
  EXPECT_EQ(machine->numa[0].memory_bytes, machine->memory_bytes);
}

TEST_F(MachineTest, CountsProcessorsWhereSysIsMissing) {
  fs::remove_all(root_ + "/sys");
  EXPECT_THAT(discover_machine(root_)->cpus, ElementsAre(0, 1));
}

TEST_F(MachineTest, WithoutMemoryOrProcessorsItFails) {
  fs::remove(root_ + "/proc/meminfo");
  EXPECT_FALSE(discover_machine(root_));
  EXPECT_FALSE(discover_machine(root_ + "/nowhere"));
}

TEST(ParseCpuList, ReadsRanges) {
  EXPECT_THAT(parse_cpu_list("0-2,5\n"), ElementsAre(0, 1, 2, 5));
  EXPECT_THAT(parse_cpu_list(""), IsEmpty());
  for (const char* bad : {"x", "3-1", "-1", "1-", "0-99999999999"})
    EXPECT_THAT(parse_cpu_list(bad), IsEmpty()) << bad;
}

TEST(DiscoverMachine, FindsThisOne) {
  const auto machine = discover_machine();
  ASSERT_TRUE(machine) << machine.error().to_string();
  EXPECT_FALSE(machine->cpus.empty());
  EXPECT_GT(machine->memory_bytes, 0);
}

}  // namespace
}  // namespace berth::node
