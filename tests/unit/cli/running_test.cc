#include "cli/scaling/running.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace berth::cli {
namespace {

Json pod(const std::string& name, const std::string& owner, const std::string& resources,
         const std::string& phase = "Running") {
  return boost::json::parse(fmt::format(
      R"({{"metadata": {{"name": "{}", "namespace": "team"{}}},
           "spec": {{"nodeName": "n", "containers": [{{"name": "main", "resources": {}}}]}},
           "status": {{"phase": "{}"}}}})",
      name, owner, resources, phase));
}

std::string owned(const std::string& kind, const std::string& name) {
  return fmt::format(R"(, "ownerReferences": [{{"kind": "{}", "name": "{}", "controller": true}}])",
                     kind, name);
}

Json owned_object(const std::string& name, const std::string& owner) {
  return boost::json::parse(
      fmt::format(R"({{"metadata": {{"name": "{}", "namespace": "team"{}}}}})", name, owner));
}

constexpr const char* kLarge =
    R"({"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "4", "memory": "2Gi"}})";

class RunningTest : public testing::Test {
 protected:
  RunningTest() {
    around_.nodes = {boost::json::parse(
        R"({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "10"}}})")};
    around_.prices = boost::json::parse(R"({"cpu": 40000, "memory": 5000, "node": 100000})");
  }

  void use(const std::string& name, const std::string& cpu, const std::string& memory) {
    for (int second = 10; second <= 40; second += 10)
      history_.take({boost::json::parse(fmt::format(
          R"({{"metadata": {{"name": "{}", "namespace": "team"}}, "window": "10s",
               "timestamp": "2026-11-23T01:00:{}Z", "containers": [{{"name": "main",
               "usage": {{"cpu": "{}", "memory": "{}"}}}}]}})",
          name, second, cpu, memory))});
  }

  std::vector<RunningWorkload> sized() { return right_size(around_, history_, {}); }

  Surroundings around_;
  UsageHistory history_;
};

TEST_F(RunningTest, ReplicasAreJudgedTogetherAsTheirDeployment) {
  around_.replica_sets = {owned_object("web-1", owned("Deployment", "web"))};
  around_.deployments = {owned_object("web", "")};
  for (const char* name : {"web-1-a", "web-1-b"})
    around_.pods.push_back(pod(name, owned("ReplicaSet", "web-1"), kLarge));
  around_.pods.push_back(pod("web-1-c", owned("ReplicaSet", "web-1"), kLarge, "Pending"));
  use("web-1-a", "100m", "100Mi");
  use("web-1-b", "400m", "890Mi");
  const auto workloads = sized();
  ASSERT_EQ(workloads.size(), 1u);
  const RunningWorkload& web = workloads[0];
  EXPECT_EQ(web.kind + "/" + web.name, "Deployment/web");
  EXPECT_EQ(web.pods.size(), 2u);
  EXPECT_EQ(web.containers[0].size.samples, 8u);
  EXPECT_EQ(web.containers[0].size.cpu.verdict, core::SizeVerdict::kTooLarge);
  // Each of two pods gives back 1.54 cores, of 0.04 and a tenth of the node's 0.1, and 1 GiB.
  EXPECT_EQ(web.containers[0].cpu_saves.micro, 2 * 77'000);
  EXPECT_EQ(web.containers[0].memory_saves.micro, 2 * 5'000);
  EXPECT_EQ(web.saves.micro, 164'000);
  EXPECT_EQ(web.stop_saves.micro, 2 * (100'000 + 10'000));
  EXPECT_EQ(boost::json::serialize(advised_containers(web)),
            R"([{"name":"main","resources":{"requests":{"cpu":"460m","memory":"1Gi"},)"
            R"("limits":{"cpu":"920m","memory":"1Gi"}}}])");
}

TEST_F(RunningTest, TheTopmostOwnerCounts) {
  around_.replica_sets = {owned_object("chat-1", owned("Deployment", "chat"))};
  around_.deployments = {owned_object("chat", owned("ModelService", "chat"))};
  around_.pods = {pod("chat-1-a", owned("ReplicaSet", "chat-1"), kLarge),
                  pod("train-0", owned("Job", "train"), kLarge), pod("bare", "", kLarge)};
  std::vector<std::string> names;
  for (const RunningWorkload& each : sized()) names.push_back(each.kind + "/" + each.name);
  EXPECT_EQ(names, (std::vector<std::string>{"Job/train", "ModelService/chat", "Pod/bare"}));
}

TEST_F(RunningTest, WhatWasNotMeasuredStaysAsItIs) {
  around_.pods = {pod("bare", "", kLarge)};
  const auto workloads = sized();
  EXPECT_EQ(workloads[0].containers[0].size.cpu.verdict, core::SizeVerdict::kUnknown);
  EXPECT_FALSE(workloads[0].changes());
  EXPECT_EQ(workloads[0].saves.micro, 0);
  EXPECT_TRUE(advised_containers(workloads[0]).empty());
}

TEST_F(RunningTest, IdleIsSaidOnlyWithoutDevices) {
  around_.pods = {pod("lazy", "", kLarge),
                  pod("gpu", "", R"({"requests": {"cpu": "1", "nvidia.com/gpu": "1"}})")};
  use("lazy", "0", "1Mi");
  use("gpu", "0", "1Mi");
  const auto workloads = sized();
  EXPECT_EQ(workloads[0].name, "gpu");
  EXPECT_FALSE(workloads[0].idle);
  EXPECT_TRUE(workloads[1].idle);
}

TEST_F(RunningTest, ASampleSeenTwiceCountsOnce) {
  use("bare", "1", "1Gi");
  use("bare", "1", "1Gi");
  EXPECT_EQ(history_.samples(), 4u);
}

}  // namespace
}  // namespace berth::cli
