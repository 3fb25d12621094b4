#include "traces/openb.h"

#include <gtest/gtest.h>

namespace berth::traces {
namespace {

std::string pods_error(std::string_view text) {
  const auto pods = read_openb_pods(text, "pods.csv");
  return pods ? "no error" : pods.error().to_string();
}

TEST(OpenbPods, AreRead) {
  const auto pods = read_openb_pods(
      "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos\n"
      "a,4000,100,1,460,T4|P100,LS\r\n"
      "b,8000,200,8,1000,,LS\n"
      "c,100,1,0,0,,BE\n",
      "pods.csv");
  ASSERT_TRUE(pods) << pods.error().to_string();
  ASSERT_EQ(pods->size(), 3u);
  EXPECT_EQ((*pods)[0].device_milli, 460);
  EXPECT_EQ((*pods)[0].models, "T4|P100");
  EXPECT_EQ((*pods)[1].total_milli(), 8000);
  EXPECT_EQ((*pods)[2].total_milli(), 0);
}

TEST(OpenbPods, MayLackModels) {
  EXPECT_TRUE(read_openb_pods("cpu_milli,memory_mib,num_gpu,gpu_milli\n1,1,1,1000\n", "pods.csv"));
}

TEST(OpenbPods, AreRefusedWithAPosition) {
  EXPECT_EQ(pods_error("cpu_milli,memory_mib,gpus,gpu_milli\n1,1,1,1000\n").substr(0, 48),
            "pods.csv:1:1: there is no column `num_gpu`; its ");
  EXPECT_EQ(pods_error("cpu_milli,memory_mib,num_gpu,gpu_milli\n1,1,1,1000\n1,1,-1,1000\n"),
            "pods.csv:3:5: num_gpu is `-1`; write a whole number of at least 0");
  EXPECT_EQ(pods_error("cpu_milli,memory_mib,num_gpu,gpu_milli\n1,1,1,1500\n"),
            "pods.csv:2:7: gpu_milli is 1500; write 1 to 1000, the thousandths of one GPU");
  EXPECT_EQ(pods_error("cpu_milli,memory_mib,num_gpu,gpu_milli\n1,1,1\n"),
            "pods.csv:2:1: 3 cells where the header has 4; give every row the columns "
            "cpu_milli,memory_mib,num_gpu,gpu_milli");
  EXPECT_EQ(pods_error(""),
            "pods.csv:1:1: the file is empty; start it with a line that names the "
            "columns");
}

TEST(OpenbNodes, AreRefusedWithAPosition) {
  const auto nodes = read_openb_nodes("sn,cpu_milli,memory_mib,gpu,model\nn,1,1,99,T4\n", "n.csv");
  ASSERT_FALSE(nodes);
  EXPECT_EQ(nodes.error().to_string(), "n.csv:2:7: gpu is 99; a node has at most 64 devices");
}

TEST(OpenbArrivals, AreReadAndRefused) {
  const auto read = [](std::string_view text) { return read_openb_arrivals(text, "a.txt", 2, 3); };
  const auto good = read("nodes 1 0\npods 2 2 0\n");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->nodes, (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(good->pods, (std::vector<uint32_t>{2, 2, 0}));
  EXPECT_EQ(read("nodes 1 2\npods 0\n").error().where, "a.txt:1:9");
  EXPECT_EQ(read("nodes 1 x\npods 0\n").error().where, "a.txt:1:9");
  EXPECT_EQ(read("nodes 1 1\npods 0\n").error().what, "node row 1 is there twice");
  EXPECT_EQ(read("pods 0\nnodes 0\n").error().where, "a.txt:1:1");
}

}  // namespace
}  // namespace berth::traces
