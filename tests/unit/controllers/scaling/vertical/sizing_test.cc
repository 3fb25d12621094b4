#include "controllers/scaling/vertical/sizing.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/scaling/vertical/sizing_spec.h"
#include "controllers/workloads/deployment.h"
#include "controllers/workloads/replica_set.h"
#include "tests/unit/controllers/world.h"

namespace berth::controllers {
namespace {

using objects::find_string;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kMiB = int64_t{1} << 20;

/// A Deployment of one container with 500m and 100Mi, guaranteed, on a node of 4 cores and 4Gi.
class SizingTest : public testing::Test {
 protected:
  const Key key{Kind::kDeployment, "default", "web"};
  World world;

  void SetUp() override {
    world.add(Kind::kNode, R"({"metadata":{"name":"n1","namespace":""},
                               "status":{"allocatable":{"cpu":"4","memory":"4Gi"}}})");
  }
  void deploy(int replicas = 1, const std::string& ranges =
                                    R"("berth.dev/scale-cpu":"100m..2",
                                       "berth.dev/scale-memory":"32Mi..1Gi")") {
    world.add(Kind::kDeployment, fmt::format(R"({{"metadata":{{"name":"web","annotations":{{
        "berth.dev/scale-window":"1m",{}}}}},"spec":{{"replicas":{},
        "selector":{{"matchLabels":{{"a":"b"}}}},"template":{{"metadata":{{"labels":{{"a":"b"}}}},
        "spec":{{"containers":[{{"name":"main","image":"i","resources":{{
          "requests":{{"cpu":"500m","memory":"100Mi"}},
          "limits":{{"cpu":"500m","memory":"100Mi","example.com/gpu":"1"}}}}}}]}}}}}}}})",
                                             ranges, replicas));
    start();
  }
  void start() {
    world.settle_all({&kDeployment, &kReplicaSet});
    for (const ObjectPtr& pod : world.pods())
      if (phase(*pod) != PodPhase::kRunning) world.set_pod(pod, "Running", true);
  }
  /// All pods use so much for so long, and the controller looks each time.
  void use(int64_t seconds, int64_t cpu_milli, int64_t memory_mib = 87) {
    for (int64_t passed = 0; passed < seconds; passed += 10) {
      world.now = world.now + Duration::seconds(10);
      std::vector<PodUse> pods;
      for (const ObjectPtr& pod : world.pods())
        pods.push_back({pod->uid,
                        {{"main",
                          {.at = world.now,
                           .window = Duration::seconds(10),
                           .cpu_milli = cpu_milli,
                           .memory_bytes = memory_mib * kMiB}}}});
      world.view.add_use(pods);
      world.settle(kSizing, key);
    }
  }
  /// `request/limit` of the CPU and memory of each pod.
  std::vector<std::string> sizes() {
    std::vector<std::string> all;
    for (const ObjectPtr& pod : world.pods()) {
      const Json& resources =
          *objects::find(objects::find_array(*pod->json, {"spec", "containers"})[0], {"resources"});
      const auto amount = [&](const char* side, const char* name) {
        return find_string(resources, {side, name});
      };
      EXPECT_EQ(amount("limits", "example.com/gpu"), "1");
      all.push_back(fmt::format("{}/{} {}/{}", amount("requests", "cpu"), amount("limits", "cpu"),
                                amount("requests", "memory"), amount("limits", "memory")));
    }
    return all;
  }
  std::string reason() { return std::string(world.view.find(key)->annotation(kSizingReason)); }
};

TEST_F(SizingTest, WhatUsesItsLimitUpGrowsInPlaceAndTheTemplateStays) {
  deploy(2);
  const Json before = *objects::find(world.json(key), {"spec"});
  use(20, 500);
  EXPECT_THAT(sizes(), ElementsAre("500m/500m 100Mi/100Mi", "500m/500m 100Mi/100Mi"));
  use(10, 500);
  EXPECT_THAT(sizes(), ElementsAre("1/1 100Mi/100Mi", "1/1 100Mi/100Mi"));
  EXPECT_EQ(reason(), "main: cpu from 500m to 1: used 500m of a limit of 500m");
  EXPECT_THAT(world.notes, ElementsAre("Resized"));
  EXPECT_EQ(*objects::find(world.json(key), {"spec"}), before);
  use(20, 1000);
  EXPECT_THAT(sizes(), ElementsAre("1/1 100Mi/100Mi", "1/1 100Mi/100Mi")) << "not at once again";
  use(20, 1000);
  EXPECT_THAT(sizes(), ElementsAre("2/2 100Mi/100Mi", "2/2 100Mi/100Mi"));
  EXPECT_EQ(Sizing::read(*world.view.find(key)).changes, 2);
}

TEST_F(SizingTest, WhatIsIdleShrinksAfterAWindow) {
  deploy();
  use(50, 1, 20);
  EXPECT_THAT(sizes(), ElementsAre("500m/500m 100Mi/100Mi"));
  use(10, 1, 20);
  EXPECT_THAT(sizes(), ElementsAre("100m/100m 32Mi/32Mi")) << "to the least";
  EXPECT_THAT(reason(), HasSubstr("memory from 100Mi to 32Mi: used 20Mi of 100Mi at most in 1m0s"));
}

TEST_F(SizingTest, APodThatStartsLaterIsBroughtToWhatWasLearned) {
  deploy();
  use(60, 1, 20);
  world.change(key, R"({"spec":{"replicas":2}})");
  start();
  EXPECT_THAT(sizes(), testing::Contains("500m/500m 100Mi/100Mi")) << "as its template says";
  world.settle(kSizing, key);
  EXPECT_THAT(sizes(), ElementsAre("100m/100m 32Mi/32Mi", "100m/100m 32Mi/32Mi"));
}

TEST_F(SizingTest, AnotherTemplateForgetsWhatWasLearned) {
  deploy();
  use(60, 1, 20);
  Json changed = world.json(key);
  changed.at_pointer("/spec/template/spec/containers/0/resources/requests/cpu") = "300m";
  changed.at_pointer("/spec/template/spec/containers/0/resources/limits/cpu") = "300m";
  world.store(Kind::kDeployment, std::move(changed));
  start();
  use(10, 250);
  EXPECT_THAT(sizes(), testing::Contains("300m/300m 100Mi/100Mi"));
}

TEST_F(SizingTest, AKillForWantOfMemoryDoublesItOnce) {
  deploy();
  use(10, 400);
  world.change(world.pods()[0]->key,
               fmt::format(R"({{"status":{{"containerStatuses":[{{"name":"main","lastState":
                   {{"terminated":{{"reason":"OOMKilled","finishedAt":"{}"}}}}}}]}}}})",
                           format_time(world.now)));
  world.settle(kSizing, key);
  EXPECT_THAT(sizes(), ElementsAre("500m/500m 200Mi/200Mi"));
  EXPECT_EQ(reason(), "main: memory from 100Mi to 200Mi: killed for want of memory with 100Mi");
  use(20, 400);
  EXPECT_THAT(sizes(), ElementsAre("500m/500m 200Mi/200Mi"));
  use(60, 400, 1);
  EXPECT_THAT(sizes(), ElementsAre("500m/500m 115Mi/115Mi")) << "never that small again";
}

TEST_F(SizingTest, WhereTheNodeIsFullItIsSaidOnceAndNotTried) {
  deploy();
  world.add(Kind::kPod, R"({"metadata":{"name":"other"},"spec":{"nodeName":"n1","containers":[
      {"name":"x","resources":{"requests":{"cpu":"3480m"},"limits":{"example.com/gpu":"1"}}}]},
      "status":{"phase":"Running"}})");
  use(60, 500);
  EXPECT_EQ(
      reason(),
      "main: cpu stays at 500m: used 500m of a limit of 500m; where it runs there is room for "
      "520m");
  EXPECT_THAT(world.notes, ElementsAre("CannotGrow"));
  world.remove({Kind::kPod, "default", "other"}, true);
  use(10, 500);
  EXPECT_THAT(sizes(), ElementsAre("1/1 100Mi/100Mi")) << "as soon as there is room";
}

TEST_F(SizingTest, APodForWhoseSizeThereIsNoRoomKeepsThatOfItsTemplate) {
  deploy();
  use(30, 500);
  world.add(Kind::kPod, R"({"metadata":{"name":"other"},"spec":{"nodeName":"n1","containers":[
      {"name":"x","resources":{"requests":{"cpu":"2200m"},"limits":{"example.com/gpu":"1"}}}]},
      "status":{"phase":"Running"}})");
  world.change(key, R"({"spec":{"replicas":2}})");
  start();
  world.settle(kSizing, key);
  EXPECT_THAT(sizes(), testing::Contains("500m/500m 100Mi/100Mi"));
  EXPECT_THAT(reason(), HasSubstr("keeps the size of its template"));
}

TEST_F(SizingTest, RangesThatCannotBeReadAreNamed) {
  deploy(1, R"("berth.dev/scale-cpu":"2..100m")");
  use(60, 1, 1);
  EXPECT_THAT(reason(), HasSubstr("berth.dev/scale-cpu: `2..100m` is not a range"));
  EXPECT_THAT(sizes(), ElementsAre("500m/500m 100Mi/100Mi"));
}

TEST_F(SizingTest, WhatIsNotAskedForStays) {
  deploy(1, R"("berth.dev/scale-cpu":"100m..2")");
  use(60, 1, 1);
  EXPECT_THAT(sizes(), ElementsAre("100m/100m 100Mi/100Mi"));
  world.change(key, R"({"metadata":{"annotations":{"berth.dev/scale-cpu":null}}})");
  world.settle(kSizing, key);
  EXPECT_EQ(reason(), "");
  EXPECT_THAT(world.view.find(key)->annotation(kSizingState), IsEmpty());
  EXPECT_THAT(sizes(), ElementsAre("100m/100m 100Mi/100Mi")) << "left as they are";
}

}  // namespace
}  // namespace berth::controllers
