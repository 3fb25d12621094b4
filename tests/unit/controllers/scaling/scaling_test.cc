#include "controllers/scaling/scaling.h"

#include <fmt/format.h>
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

TEST_F(ScalingTest, AnObjectiveOfTheWholeAnswerStandsForTheOthersWhereTheyAreNotAsked) {
  add_service(R"("objective":{"latency":{"target":"20s","percentile":90}})");
  const auto alone = read_scaling(*world.view.find(service));
  ASSERT_TRUE(alone && *alone);
  EXPECT_EQ((*alone)->service.objective.latency_s, 20);
  EXPECT_EQ((*alone)->service.objective.ttft_s, 20);
  EXPECT_EQ((*alone)->service.objective.tpot_s, 20);
  EXPECT_EQ((*alone)->service.objective.attainment, 0.9);
  add_deployment(R"("berth.dev/scale-model":"llama","berth.dev/objective":"ttft=1s,latency=20s")");
  const auto both = read_scaling(*world.view.find(deployment));
  ASSERT_TRUE(both && *both);
  EXPECT_EQ((*both)->service.objective.ttft_s, 1);
  EXPECT_EQ((*both)->service.objective.latency_s, 20);
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
                "replicas":{"min":0,"max":4},"scaling":{"policy":"hpa"}}})");
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

TEST_F(ScalingTest, TheNextVariantIsChosenWhereTheFirstHasNoRoom) {
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
  held("llama", 2);
  decide(service);
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "large"}), 1) << "not at once";
  world.now = world.now + Duration::seconds(11);
  held("llama", 3);
  decide(service);
  settle();
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "large"}), 0);
  EXPECT_EQ(find_int(world.json(service), {"status", "desired", "small"}), 1);
  EXPECT_THAT(std::string(find_string(world.json(service), {"status", "variantReasons", "large"})),
              HasSubstr("no room for more than 0: no room"));
}

TEST_F(ScalingTest, TheCheapestMixIsChosenByWhatEachVariantMeasures) {
  core::PriceList prices;
  prices.set("example.com/small", {1'000'000}, Time{});
  prices.set("NVIDIA-H100", {3'000'000}, Time{});
  prices.set("cpu", {100'000}, Time{});
  world.view.set_prices(prices);
  const auto profile = [&](const char* name, double base_s, double sequence_s) {
    world.add(Kind::kServingProfile,
              fmt::format(R"({{"apiVersion":"berth.dev/v1alpha1","kind":"ServingProfile",
                  "metadata":{{"name":"{}","namespace":""}},
                  "spec":{{"model":"llama","accelerator":"a","engine":"e","iteration":
                          {{"baseSeconds":{},"perSequenceSeconds":{}}}}}}})",
                          name, base_s, sequence_s));
  };
  profile("slow", 0.02, 0.005);
  profile("fast", 0.002, 0.0005);
  world.add(Kind::kModelService,
            R"({"metadata":{"name":"chat"},"spec":{"model":{"uri":"/m.gguf","name":"llama"},
                "engine":{"kind":"llamacpp","sequences":4},
                "variants":[{"name":"small","resource":"example.com/small","count":"1",
                             "profile":"slow"},
                            {"name":"large","accelerator":"NVIDIA-H100","count":"1",
                             "resources":{"limits":{"cpu":"2"}}}],
                "replicas":{"min":0,"max":8},
                "objective":{"ttft":{"target":"1s"},"tpot":{"target":"100ms"}},
                "scaling":{"profile":"fast","holdFor":"5s"}}})");
  int64_t sequence = 0;
  const auto load = [&](int seconds, double rate) {
    for (int i = 0; i < seconds; ++i) {
      documents::ModelDemand demand{.model = "llama"};
      demand.sample = {.arrivals = rate,
                       .prompt_tokens = 50 * rate,
                       .prompt_tokens2 = 2500 * rate,
                       .ended = rate,
                       .output_tokens = 20 * rate};
      demand.served.assign(8, {.request = {50, 20, 0.05, 0.1, 2}, .pod = "default/another"});
      autoscaler.on_reports({{"gate", ++sequence, world.now.ns / 1'000'000'000, {demand}}},
                            world.now);
      world.now = world.now + Duration::milliseconds(1400);
      decide(service);
      world.now = world.now - Duration::milliseconds(400);
      for (const ObjectPtr& pod : world.active_pods())
        if (!is_ready(*pod)) world.set_pod(pod, "Running", true);
      settle();
    }
  };
  const auto desired = [&](const char* variant) {
    return find_int(world.json(service), {"status", "desired", variant});
  };
  const auto why = [&](const char* variant) {
    return std::string(find_string(world.json(service), {"status", "variantReasons", variant}));
  };
  load(20, 1);
  EXPECT_EQ(desired("small"), 1);
  EXPECT_EQ(desired("large"), 0);
  EXPECT_THAT(why("small"), HasSubstr("1 wanted, 1/h"));
  EXPECT_THAT(why("large"), HasSubstr("0 wanted; the load would need 1 of it alone, 3.2/h"));
  load(60, 8);
  EXPECT_EQ(desired("small"), 0) << why("small");
  EXPECT_EQ(desired("large"), 1) << why("large");
  EXPECT_THAT(std::string(find_string(world.json(service), {"status", "scalingReason"})),
              HasSubstr("the load foreseen: 1 large for 3.2/h"));
  // What only the other one's pods answered is not this one's.
  EXPECT_EQ(
      find_int(world.json(service), {"status", "scaling", "variants", "large", "observedRequests"}),
      0);
  const ObjectPtr pod = world.active_pods().front();
  autoscaler.on_reports(
      {{"gate",
        ++sequence,
        world.now.ns / 1'000'000'000,
        {{.model = "llama",
          .served = {{.request = {50, 20, 0.05, 0.1, 2}, .pod = "default/" + pod->key.name},
                     {.request = {50, 20, 0.05, 9.9, 2}, .pod = "default/another"}}}}}},
      world.now);
  world.now = world.now + Duration::milliseconds(6000);
  decide(service);
  EXPECT_EQ(
      find_int(world.json(service), {"status", "scaling", "variants", "large", "observedRequests"}),
      1);
  EXPECT_EQ(
      find_int(world.json(service), {"status", "scaling", "variants", "small", "observedRequests"}),
      0);
}

TEST_F(ScalingTest, VariantsHaveTheirPartOfTheGrowth) {
  world.add(Kind::kModelService,
            R"({"metadata":{"name":"chat"},"spec":{"model":{"uri":"/m.gguf","name":"llama"},
                "engine":{"kind":"llamacpp"},"variants":[{"name":"large"},{"name":"small"}],
                "replicas":{"min":1,"max":4},"scaling":{"policy":"queueing"}},
                "status":{"desired":{"large":2,"small":1},"growthValues":"1: 0.9, 0.4, 0.1"}})");
  settle();
  const auto growth = [&](const char* name) {
    return std::string(world.view.find({Kind::kDeployment, "default", name})
                           ->annotation("berth.dev/growth-values"));
  };
  EXPECT_EQ(growth("chat-large"), "1: 0.9, 0.4, 0.1");
  EXPECT_EQ(growth("chat-small"), "0: 0.4, 0.1") << "the minimum and 0.9 are the other's";
  std::vector<std::string> worths;
  for (const ObjectPtr& pod : world.pods())
    worths.emplace_back(pod->annotation("berth.dev/growth-value"));
  EXPECT_THAT(worths, testing::UnorderedElementsAre("", "0.9", "0.4"));
}

TEST_F(ScalingTest, WhatGrowthIsWorthIsWrittenWhereItChangedMuch) {
  add_deployment(R"("berth.dev/scale-model":"llama")");
  const auto tell = [&](std::vector<double> values) {
    world.view.set_verdict(deployment, std::make_shared<const ScalingVerdict>(ScalingVerdict{
                                           .replicas = 3,
                                           .reason = "why",
                                           .growth = GrowthValues{1, std::move(values)},
                                           .measured = {}}));
    world.settle(kScaling, deployment);
    return std::string(world.view.find(deployment)->annotation("berth.dev/growth-values"));
  };
  EXPECT_EQ(tell({0.5, 0.1}), "1: 0.5, 0.1");
  EXPECT_EQ(tell({0.6, 0.1}), "1: 0.5, 0.1");
  EXPECT_EQ(tell({0.7, 0.1}), "1: 0.7, 0.1");
  EXPECT_EQ(tell({0.7, 0.1, 0.0004}), "1: 0.7, 0.1, 0");
  EXPECT_EQ(tell({}), "1:");
}

}  // namespace
}  // namespace berth::controllers
