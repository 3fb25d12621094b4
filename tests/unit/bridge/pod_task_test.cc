#include "bridge/pod_task.h"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/object_events.h"

namespace berth::bridge {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

PodTask read(std::string_view metadata, std::string_view spec, std::string_view status = "{}") {
  const Json pod = boost::json::parse(std::string(R"({"metadata":{"namespace":"ns","name":"p")") +
                                      std::string(metadata) + R"(},"spec":{)" + std::string(spec) +
                                      R"(},"status":)" + std::string(status) + "}");
  PodContext context;
  context.managed = [](const Json&) { return true; };
  context.priority = [](std::string_view) { return 7; };
  context.queue_of_namespace = [](std::string_view ns) { return "q-" + std::string(ns); };
  return read_pod(pod, context);
}

std::string container(std::string_view resources, std::string_view more = "") {
  return R"({"name":"c","resources":)" + std::string(resources) + std::string(more) + "}";
}

TEST(PodTask, RequestsAreTheLargerOfInitAndSumWithSidecarsAndOverhead) {
  const PodTask read_task = read(
      "", R"("containers":[)" + container(R"({"requests":{"cpu":"500m","memory":"1Gi"}})") + "," +
              container(R"({"limits":{"cpu":"1"}})") + R"(],"initContainers":[)" +
              container(R"({"requests":{"cpu":"100m"}})", R"(,"restartPolicy":"Always")") + "," +
              container(R"({"requests":{"cpu":"3"}})") + R"(],"overhead":{"cpu":"50m"})");
  ASSERT_TRUE(read_task.task);
  const core::ShapeSpec& shape = read_task.task->shape;
  EXPECT_EQ(shape.request.cpu_milli, 3150);  // the init container beside the sidecar
  EXPECT_EQ(shape.request.memory_bytes, int64_t{1} << 30);
  EXPECT_EQ(read_task.task->queue, "q-ns");
  EXPECT_EQ(read_task.task->priority, 7);
}

TEST(PodTask, DevicesWholeAndShared) {
  auto task =
      read("", R"("containers":[)" + container(R"({"limits":{"amd.com/gpu":"2"}})") + "]").task;
  EXPECT_EQ(task->shape.devices.resource, "amd.com/gpu");
  EXPECT_EQ(task->shape.devices.count, 2);
  EXPECT_TRUE(task->shape.devices.whole());

  task = read(R"(,"annotations":{"gpu-fraction":"0.25"})", R"("containers":[])").task;
  EXPECT_EQ(task->shape.devices.milli, 250);
  task = read(R"(,"annotations":{"berth.dev/gpu-memory":"10Gi"})", R"("containers":[])").task;
  EXPECT_EQ(task->shape.devices.milli, 0);
  EXPECT_EQ(task->shape.devices.memory_bytes, int64_t{10} << 30);
  task = read("", R"("containers":[)" + container(R"({"limits":{"rdma/hca":"1"}})") + "]").task;
  EXPECT_EQ(task->shape.devices.count, 0);
  EXPECT_EQ(task->shape.counted.at(0).resource, "rdma/hca");
}

TEST(PodTask, WhatCannotBeReadIsRefusedWithTheReason) {
  EXPECT_THAT(read(R"(,"annotations":{"gpu-fraction":"half"})", R"("containers":[])").refused,
              HasSubstr("a number above 0 and at most 1"));
  EXPECT_THAT(read(R"(,"annotations":{"gpu-memory":"-1"})", R"("containers":[])").refused,
              HasSubstr("MiB"));
  EXPECT_THAT(read("", R"("containers":[],"resourceClaims":[{"name":"x"}])").refused,
              HasSubstr("does not support yet"));
}

TEST(PodTask, PhasesFollowTheObject) {
  EXPECT_FALSE(read("", R"("nodeName":"n")", R"({"phase":"Succeeded"})").task);
  EXPECT_FALSE(read(R"(,"deletionTimestamp":"2026-11-23T10:00:00Z")", "").task);
  EXPECT_EQ(read("", "").task->phase, core::TaskPhase::kPending);
  EXPECT_EQ(read("", R"("nodeName":"n")", R"({"phase":"Pending"})").task->phase,
            core::TaskPhase::kBound);
  EXPECT_EQ(read("", R"("nodeName":"n")", R"({"phase":"Running"})").task->phase,
            core::TaskPhase::kRunning);
  EXPECT_EQ(read(R"(,"deletionTimestamp":"2026-11-23T10:00:00Z")", R"("nodeName":"n")",
                 R"({"phase":"Running"})")
                .task->phase,
            core::TaskPhase::kReleasing);
}

TEST(PodTask, OnlyWhatCanCompleteHasAPast) {
  EXPECT_EQ(read(R"(,"labels":{"app":"train"})", R"("restartPolicy":"Never")").task->owner,
            "ns/train");
  EXPECT_EQ(read("", R"("restartPolicy":"OnFailure")").task->owner, "ns/");
  EXPECT_EQ(read(R"(,"labels":{"app":"web"})", R"("restartPolicy":"Always")").task->owner, "");
}

TEST(PodTask, LabelsAnnotationsAndGang) {
  const auto task =
      read(R"(,"labels":{"kai.scheduler/queue":"k","scheduling.x-k8s.io/pod-group":"g",
          "batch.kubernetes.io/job-completion-index":"3"},"annotations":{
          "berth.dev/preemptible":"false","berth.dev/expected-duration":"2h",
          "berth.dev/devices":"{\"nvidia.com/gpu\":[{\"id\":\"gpu-3\"}]}"})",
           R"("nodeName":"n","activeDeadlineSeconds":60,"containers":[)" +
               container(R"({"limits":{"nvidia.com/gpu":"1"}})") + "]")
          .task;
  EXPECT_EQ(task->queue, "k");
  EXPECT_EQ(task->gang, "ns/group/g");
  EXPECT_FALSE(task->preemptible);
  EXPECT_EQ(task->expected_duration, Duration::seconds(60));
  EXPECT_THAT(task->devices, ElementsAre("gpu-3"));
  EXPECT_EQ(task->labels.size(), 2u) << "an index makes no pod a kind of its own";
}

TEST(ObjectEvents, NodesNameOrCountTheirDevices) {
  const core::NodeUpsert named = read_node(boost::json::parse(R"({"metadata":{"name":"n",
    "annotations":{"berth.dev/devices":"[{\"resource\":\"nvidia.com/gpu\",\"id\":\"gpu-0\",\"memoryBytes\":1024,\"busy\":\"trainer (pid 17)\"}]"}},
    "status":{"allocatable":{"cpu":"2","nvidia.com/gpu":"1"},"conditions":[{"type":"Ready","status":"True"}]}})"));
  ASSERT_EQ(named.devices.size(), 1u);
  EXPECT_TRUE(named.devices[0].busy);
  EXPECT_EQ(named.devices[0].memory_bytes, 1024);
  EXPECT_TRUE(named.counted.empty());
  EXPECT_TRUE(named.ready);

  const core::NodeUpsert counted = read_node(boost::json::parse(R"({"metadata":{"name":"n",
    "labels":{"nvidia.com/gpu.product":"A100"}},"spec":{"unschedulable":true},
    "status":{"allocatable":{"nvidia.com/gpu":"8","rdma/hca":"4"}}})"));
  ASSERT_EQ(counted.counted.size(), 2u);
  EXPECT_EQ(counted.counted[0].model, "A100");
  EXPECT_TRUE(counted.counted[0].accelerator);
  EXPECT_FALSE(counted.counted[1].accelerator);
  EXPECT_TRUE(counted.unschedulable);
  EXPECT_FALSE(counted.ready);
}

TEST(ObjectEvents, DisruptionBudgetsAreAsTheirControllerJudged) {
  const auto read_budget = [](std::string_view spec) {
    return read_disruption_budget(
        boost::json::parse(R"({"metadata":{"namespace":"ns","name":"b"},"spec":)" +
                           std::string(spec) + R"(,"status":{"disruptionsAllowed":2}})"));
  };
  const auto budget = read_budget(
      R"({"selector":{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"x","operator":"Exists"}]}})");
  ASSERT_TRUE(budget);
  EXPECT_EQ(budget->name, "ns/b");
  EXPECT_EQ(budget->allowed, 2);
  ASSERT_EQ(budget->selector.all.size(), 2u);
  EXPECT_EQ(budget->selector.all[0].key, "app");
  EXPECT_EQ(budget->selector.all[1].op, core::Operator::kExists);
  EXPECT_TRUE(read_budget(R"({"selector":{}})")->selector.all.empty());  // all of the namespace
  EXPECT_FALSE(read_budget(R"({"minAvailable":1})"));                    // none
}

TEST(ObjectEvents, WhatIsRememberedComesBack) {
  const core::PersistIntent intent{"ns/group/g", 5, {{"ns/a", "n", {"gpu-1", "gpu-2"}}}};
  const core::Claim claim{"ns/group/g", true, intent.members, Time{int64_t{2'000'000'000} * 1000},
                          Time{int64_t{1'000'000'000} * 1000}};
  Json group = JsonObject{
      {"metadata",
       JsonObject{{"annotations", JsonObject{{"berth.dev/intent", write_intent(intent)},
                                             {"berth.dev/claim", write_claim(claim)}}}}}};
  EXPECT_THAT(read_memory(group, "ns/group/g"),
              ElementsAre(core::Action(intent), core::Action(claim)));
  group = JsonObject{
      {"metadata", JsonObject{{"annotations", JsonObject{{"berth.dev/intent", "{not json"}}}}}};
  EXPECT_TRUE(read_memory(group, "ns/group/g").empty());
}

TEST(PodTask, GrowthIsWorthWhatItAvoidsForEachDevice) {
  const auto growth = [](std::string_view value, std::string_view resources) {
    return read(R"(,"annotations":{"berth.dev/growth-value":")" + std::string(value) + "\"}",
                R"("containers":[)" + container(resources) + "]");
  };
  EXPECT_EQ(growth("0.5", "{}").task->growth_micro, 500'000);
  EXPECT_EQ(growth("0", "{}").task->growth_micro, 0);
  EXPECT_EQ(growth("0.5", R"({"limits":{"nvidia.com/gpu":"2"}})").task->growth_micro, 250'000);
  EXPECT_EQ(read("", R"("containers":[])").task->growth_micro, core::kNotGrowth);
  EXPECT_THAT(growth("much", "{}").refused, HasSubstr("a number from 0 to 1e9"));
  EXPECT_THAT(growth("nan", "{}").refused, HasSubstr("a number from 0 to 1e9"));
}

}  // namespace
}  // namespace berth::bridge
