#include "controllers/scaling/scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/scaling/autoscaler.h"
#include "controllers/serving/model_service.h"
#include "controllers/workloads/deployment.h"
#include "controllers/workloads/replica_set.h"
#include "tests/unit/controllers/world.h"

namespace berth::controllers {
namespace {

using objects::find_int;
using objects::find_string;
using testing::ElementsAre;
using testing::HasSubstr;

class ScalingTest : public testing::Test {
 protected:
  const Key service{Kind::kModelService, "default", "chat"};
  const Key deployment{Kind::kDeployment, "default", "chat"};
  World world;
  Autoscaler autoscaler;

  void add_service(const std::string& more = R"("objective":{"ttft":{"target":"1s"}})") {
    world.add(Kind::kModelService,
              R"({"metadata":{"name":"chat"},"spec":{"model":{"uri":"/m.gguf","name":"llama"},
                  "engine":{"kind":"llamacpp"},"variants":[{"count":"1"}],
                  "replicas":{"min":0,"max":4},)" +
                  more + "}}");
  }
  void add_deployment(const std::string& annotations) {
    world.add(Kind::kDeployment,
              R"({"metadata":{"name":"chat","annotations":{)" + annotations +
                  R"(}},"spec":{"replicas":0,"selector":{"matchLabels":{"a":"b"}},
                  "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[]}}}})");
  }
  bool held(const std::string& model, int64_t sequence = 1) {
    return autoscaler.on_reports(
        {{"gate", sequence, world.now.ns / 1'000'000'000, {{.model = model, .held = true}}}},
        world.now);
  }
  /// As the runner does.
  void decide(const Key& key) {
    for (auto& [changed, verdict] : autoscaler.decide(world.view, world.now))
      world.view.set_verdict(changed, verdict);
    world.settle(kScaling, key);
  }
  void settle() { world.settle_all({&kModelService, &kDeployment, &kReplicaSet}); }
};

TEST_F(ScalingTest, AHeldRequestStartsAServiceAndItSaysWhy) {
  add_service();
  EXPECT_TRUE(held("llama"));
  decide(service);
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "default"}), 1);
  EXPECT_THAT(std::string(find_string(world.json(service), {"status", "scalingReason"})),
              HasSubstr("a request waits"));
  EXPECT_THAT(world.notes, ElementsAre("ScaledUp"));
  settle();
  EXPECT_EQ(find_int(world.json(deployment), {"spec", "replicas"}), 1);
}

TEST_F(ScalingTest, OtherModelsAndReportsThatCameBeforeDoNotCount) {
  add_service();
  EXPECT_TRUE(held("another"));
  decide(service);
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "default"}), 0);
  EXPECT_FALSE(held("llama")) << "the same report once more";
  decide(service);
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "default"}), 0);
}

TEST_F(ScalingTest, WithoutAnObjectiveNobodyScales) {
  add_service(R"("queue":"q")");
  held("llama");
  decide(service);
  EXPECT_EQ(objects::find(world.json(service), {"status", "scalingReason"}), nullptr);
}

TEST_F(ScalingTest, ADeploymentIsScaledByItsAnnotations) {
  add_deployment(R"("berth.dev/scale-model":"llama","berth.dev/scale-min":"0",
                    "berth.dev/scale-max":"3","berth.dev/objective":"ttft=500ms,percentile=90")");
  const auto spec = read_scaling(*world.view.find(deployment));
  ASSERT_TRUE(spec && *spec) << "it can be read";
  EXPECT_EQ((*spec)->service.objective.ttft_s, 0.5);
  EXPECT_EQ((*spec)->service.objective.attainment, 0.9);
  held("llama");
  decide(deployment);
  EXPECT_EQ(find_int(world.json(deployment), {"spec", "replicas"}), 1);
  EXPECT_THAT(std::string(find_string(world.json(deployment),
                                      {"metadata", "annotations", "berth.dev/scaling-reason"})),
              HasSubstr("a request waits"));
}

TEST_F(ScalingTest, ADeploymentThatCannotBeReadSaysSoAndStays) {
  add_deployment(R"("berth.dev/scale-model":"llama","berth.dev/scale-policy":"magic")");
  held("llama");
  decide(deployment);
  EXPECT_EQ(find_int(world.json(deployment), {"spec", "replicas"}), 0);
  EXPECT_THAT(std::string(find_string(world.json(deployment),
                                      {"metadata", "annotations", "berth.dev/scaling-reason"})),
              HasSubstr("there is no scaling policy `magic`"));
}

TEST_F(ScalingTest, AProfileIsUsedAndOneThatIsNotThereIsNamed) {
  const auto reason = [&] {
    return std::string(find_string(world.json(service), {"status", "scalingReason"}));
  };
  const auto hear = [&](int64_t sequence) {
    autoscaler.on_reports({{"gate", sequence, world.now.ns / 1'000'000'000, {{.model = "llama"}}}},
                          world.now);
    world.now = world.now + Duration::seconds(6);
    decide(service);
  };
  add_service(R"("scaling":{"profile":"fast"})");
  hear(1);
  EXPECT_THAT(reason(), HasSubstr("there is no such ServingProfile"));
  world.add(Kind::kServingProfile,
            R"({"apiVersion":"berth.dev/v1alpha1","kind":"ServingProfile",
                "metadata":{"name":"fast","namespace":""},
                "spec":{"model":"llama","accelerator":"a","engine":"e",
                        "iteration":{"baseSeconds":0.004,"perSequenceSeconds":0.001}}})");
  hear(2);
  hear(3);
  EXPECT_THAT(reason(), HasSubstr("a full replica takes 8.0 ms a token")) << "4 + 4 x 1";
  EXPECT_THAT(reason(), testing::Not(HasSubstr("ServingProfile")));
}

TEST_F(ScalingTest, WhatIsNotScaledAnyMoreIsLeftAlone) {
  add_service();
  held("llama");
  decide(service);
  world.change(service, R"({"spec":{"objective":null}})");
  decide(service);
  EXPECT_EQ(world.view.verdict(service), nullptr);
}

TEST_F(ScalingTest, AReplicaThatNoNodeTakesGoesToTheNextVariant) {
  world.add(Kind::kModelService,
            R"({"metadata":{"name":"chat"},"spec":{"model":{"uri":"/m.gguf","name":"llama"},
                "engine":{"kind":"llamacpp"},"variants":[{"name":"large"},{"name":"small"}],
                "replicas":{"min":0,"max":4},"scaling":{"policy":"queueing"}}})");
  held("llama");
  decide(service);
  settle();
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "large"}), 1);
  ASSERT_EQ(world.pods().size(), 1u);
  world.change(world.pods().front()->key,
               R"({"status":{"conditions":[{"type":"PodScheduled","status":"False",
                   "message":"no room"}]}})");
  world.settle(kScaling, service);
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "large"}), 1) << "not at once";
  world.now = world.now + Duration::seconds(11);
  world.settle(kScaling, service);
  settle();
  world.settle(kScaling, service);
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "large"}), 0);
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "small"}), 1);
}

}  // namespace
}  // namespace berth::controllers
