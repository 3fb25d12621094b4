#include "node/cgroup/cgroup_tree.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "node/files.h"

namespace berth::node {
namespace {

class CgroupTreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/berth-cgroup-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(root_)); }

  void put(const std::string& file, const std::string& content) {
    const std::string path = root_ + file;
    ASSERT_TRUE(make_directories(path.substr(0, path.rfind('/'))));
    ASSERT_TRUE(write_file_atomically(path, content));
  }
  std::string get(const std::string& file) { return read_file(root_ + file).value_or("none"); }

  std::string v1_table() const {
    std::string table;
    for (const char* name : {"cpu,cpuacct", "memory", "pids", "blkio", "name=systemd"})
      table += fmt::format("30 25 0:26 / {0}/{1} rw,nosuid shared:9 - cgroup cgroup rw,{1}\n",
                           root_, name);
    return table;
  }
  std::string v2_table() const {
    return fmt::format("30 25 0:26 / {} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
                       root_);
  }

  std::string root_;
};

TEST_F(CgroupTreeTest, TheMountTableTellsTheVersion) {
  EXPECT_EQ(CgroupTree::detect(v1_table())->version(), CgroupTree::Version::kV1);
  EXPECT_EQ(CgroupTree::detect(v2_table())->version(), CgroupTree::Version::kV2);
  EXPECT_EQ(CgroupTree::detect(v1_table() + v2_table())->version(), CgroupTree::Version::kHybrid);
  const auto none = CgroupTree::detect("22 1 254:0 / / rw - ext4 /dev/vda rw\n");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
}

TEST_F(CgroupTreeTest, V1LimitsGoToTheirFiles) {
  const auto tree = CgroupTree::detect(v1_table());
  for (const char* file :
       {"/cpu,cpuacct/b/p/cpu.shares", "/cpu,cpuacct/b/p/cpu.cfs_quota_us",
        "/cpu,cpuacct/b/p/cpu.cfs_period_us", "/memory/b/p/memory.limit_in_bytes",
        "/pids/b/p/pids.max", "/blkio/b/p/blkio.bfq.weight"})
    put(file, "");
  ASSERT_TRUE(tree->ensure("/b/p"));
  ASSERT_TRUE(tree->apply("/b/p", {.cpu_shares = 512,
                                   .cpu_quota_us = 50'000,
                                   .memory_bytes = 1 << 20,
                                   .pids = 100,
                                   .io_weight = 200}));
  EXPECT_EQ(get("/cpu,cpuacct/b/p/cpu.shares"), "512");
  EXPECT_EQ(get("/cpu,cpuacct/b/p/cpu.cfs_quota_us"), "50000");
  EXPECT_EQ(get("/cpu,cpuacct/b/p/cpu.cfs_period_us"), "100000");
  EXPECT_EQ(get("/memory/b/p/memory.limit_in_bytes"), "1048576");
  EXPECT_EQ(get("/pids/b/p/pids.max"), "100");
  EXPECT_EQ(get("/blkio/b/p/blkio.bfq.weight"), "200");
}

TEST_F(CgroupTreeTest, V1WithoutWeightsOrSwapIsDoneWithout) {
  const auto tree = CgroupTree::detect(v1_table());
  ASSERT_TRUE(tree->ensure("/b"));
  CgroupLimits io_weight;
  io_weight.io_weight = 200;
  EXPECT_TRUE(tree->apply("/b", io_weight));
  EXPECT_FALSE(tree->weighs_io("/b"));
  EXPECT_FALSE(tree->limits_swap("/b"));
}

TEST_F(CgroupTreeTest, V1UsageIsReadBack) {
  const auto tree = CgroupTree::detect(v1_table());
  put("/cpu,cpuacct/b/cpuacct.usage", "123456789\n");
  put("/memory/b/memory.usage_in_bytes", "10000\n");
  put("/memory/b/memory.stat", "inactive_file 1\ntotal_inactive_file 4000\n");
  put("/memory/b/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  put("/blkio/b/blkio.throttle.io_service_bytes_recursive",
      "8:0 Read 10\n8:0 Write 20\n8:16 Read 1\nTotal 31\n");
  put("/pids/b/pids.current", "7\n");
  const auto usage = tree->usage("/b");
  ASSERT_TRUE(usage) << usage.error().to_string();
  EXPECT_EQ(usage->cpu_ns, 123456789);
  EXPECT_EQ(usage->memory_bytes, 6000);
  EXPECT_EQ(usage->io_read_bytes, 11);
  EXPECT_EQ(usage->io_written_bytes, 20);
  EXPECT_EQ(usage->pids, 7);
  EXPECT_EQ(tree->oom_kills("/b"), 2);
}

TEST_F(CgroupTreeTest, V2EnablesControllersFromTheRootDown) {
  const auto tree = CgroupTree::detect(v2_table());
  for (const char* level : {"", "/b"}) {
    put(fmt::format("{}/cgroup.controllers", level), "cpu memory pids\n");
    put(fmt::format("{}/cgroup.subtree_control", level), "cpu memory\n");
  }
  ASSERT_TRUE(tree->ensure("/b/one-with-a-longer-name"));
  EXPECT_EQ(get("/cgroup.subtree_control"), "+pids");
  EXPECT_EQ(get("/b/cgroup.subtree_control"), "+pids");
}

TEST_F(CgroupTreeTest, V2LimitsAreConverted) {
  const auto tree = CgroupTree::detect(v2_table());
  for (const char* file : {"/b/cpu.weight", "/b/cpu.max", "/b/memory.max", "/b/memory.swap.max",
                           "/b/pids.max", "/b/io.weight"})
    put(file, "");
  ASSERT_TRUE(tree->apply(
      "/b",
      {.cpu_shares = 1024, .cpu_quota_us = -1, .memory_bytes = -1, .pids = -1, .io_weight = 1000}));
  EXPECT_EQ(get("/b/cpu.weight"), "39");
  EXPECT_EQ(get("/b/cpu.max"), "max 100000");
  EXPECT_EQ(get("/b/memory.max"), "max");
  EXPECT_EQ(get("/b/memory.swap.max"), "max");
  EXPECT_EQ(get("/b/pids.max"), "max");
  EXPECT_EQ(get("/b/io.weight"), "10000");
  CgroupLimits memory;
  memory.memory_bytes = 4096;
  ASSERT_TRUE(tree->apply("/b", memory));
  EXPECT_EQ(get("/b/memory.max"), "4096");
  EXPECT_EQ(get("/b/memory.swap.max"), "0");
}

TEST_F(CgroupTreeTest, V2RefusesALimitBelowWhatIsInUseAsV1Does) {
  const auto tree = CgroupTree::detect(v2_table());
  put("/b/memory.current", "10000\n");
  put("/b/memory.stat", "anon 5000\nactive_file 2000\ninactive_file 3000\n");
  put("/b/memory.max", "20000\n");
  put("/b/memory.swap.max", "0\n");
  CgroupLimits limits;
  limits.memory_bytes = 4999;
  const auto refused = tree->apply("/b", limits);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_EQ(get("/b/memory.max"), "20000\n");
  // What the kernel can drop does not count.
  limits.memory_bytes = 5000;
  EXPECT_TRUE(tree->apply("/b", limits));
  EXPECT_EQ(get("/b/memory.max"), "5000");
  limits.memory_bytes = -1;
  EXPECT_TRUE(tree->apply("/b", limits));
}

TEST_F(CgroupTreeTest, V2WeighsIoForEveryScheduler) {
  const auto tree = CgroupTree::detect(v2_table());
  put("/b/io.weight", "");
  put("/b/io.bfq.weight", "");
  CgroupLimits limits;
  limits.io_weight = 505;
  ASSERT_TRUE(tree->apply("/b", limits));
  EXPECT_EQ(get("/b/io.weight"), "5000");
  EXPECT_EQ(get("/b/io.bfq.weight"), "505");
}

TEST_F(CgroupTreeTest, V2HasWhatTheCgroupItselfHas) {
  const auto tree = CgroupTree::detect(v2_table());
  put("/cgroup.controllers", "cpu io memory pids\n");
  put("/b/cgroup.controllers", "memory io\n");
  EXPECT_TRUE(tree->has("memory", "/b"));
  EXPECT_TRUE(tree->has("blkio", "/b"));
  EXPECT_FALSE(tree->has("cpu", "/b")) << "the root has it, and kept it";
}

TEST_F(CgroupTreeTest, V2KillsACgroupAtOnce) {
  const auto tree = CgroupTree::detect(v2_table());
  put("/b/cgroup.kill", "");
  (void)tree->remove("/b");  // a folder that is none of the kernel's cannot be removed like one
  EXPECT_EQ(get("/b/cgroup.kill"), "1");
}

TEST_F(CgroupTreeTest, V2UsageIsReadBack) {
  const auto tree = CgroupTree::detect(v2_table());
  put("/b/cpu.stat", "usage_usec 5000\nuser_usec 1\n");
  put("/b/memory.current", "10000\n");
  put("/b/memory.stat", "anon 1\ninactive_file 4000\n");
  put("/b/memory.events", "low 0\noom 3\noom_kill 1\n");
  put("/b/io.stat", "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=0\n");
  put("/b/pids.current", "7\n");
  const auto usage = tree->usage("/b");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->cpu_ns, 5'000'000);
  EXPECT_EQ(usage->memory_bytes, 6000);
  EXPECT_EQ(usage->io_read_bytes, 11);
  EXPECT_EQ(usage->io_written_bytes, 20);
  EXPECT_EQ(tree->oom_kills("/b"), 1);
}

TEST(CgroupLimits, FollowKubernetesFormulas) {
  EXPECT_EQ(shares_from_milli_cpu(0), 2);
  EXPECT_EQ(shares_from_milli_cpu(500), 512);
  EXPECT_EQ(shares_from_milli_cpu(1'000'000), 262'144);
  EXPECT_EQ(quota_from_milli_cpu(1), 1000);
  EXPECT_EQ(quota_from_milli_cpu(2500), 250'000);
  EXPECT_EQ(weight_from_shares(2), 1);
  EXPECT_EQ(weight_from_shares(262'144), 10'000);
  EXPECT_EQ(oom_score_adj(QosClass::kGuaranteed, 1, 10), -997);
  EXPECT_EQ(oom_score_adj(QosClass::kBestEffort, 0, 10), 1000);
  EXPECT_EQ(oom_score_adj(QosClass::kBurstable, 4 << 20, 16 << 20), 750);
  EXPECT_EQ(oom_score_adj(QosClass::kBurstable, 16 << 20, 16 << 20), 3);
  EXPECT_EQ(oom_score_adj(QosClass::kBurstable, 0, 16 << 20), 999);
}

}  // namespace
}  // namespace berth::node
