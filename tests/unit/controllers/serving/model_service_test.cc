#include "controllers/serving/model_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/conditions.h"
#include "controllers/workloads/deployment.h"
#include "tests/unit/controllers/world.h"

namespace berth::controllers {
namespace {

using objects::find_array;
using objects::find_int;
using objects::find_string;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// 8B parameters in 16 bits, 32 layers, 8 heads of 128: 128 KiB a token.
platform::ModelHeader llama_8b() {
  return {.architecture = "llama",
          .weights_bytes = int64_t{16} << 30,
          .layers = 32,
          .kv_heads = 8,
          .key_length = 128,
          .value_length = 128,
          .context_tokens = 131072};
}

class ModelServiceTest : public testing::Test {
 protected:
  const Key key{Kind::kModelService, "default", "harbour"};
  const Key deployment{Kind::kDeployment, "default", "harbour"};
  World world;

  void SetUp() override {
    world.view.set_model_reader([](const std::string&) { return llama_8b(); });
  }
  void service(const std::string& more = "", const std::string& variants = R"({"count":"1"})",
               const std::string& engine = R"("kind":"llamacpp")") {
    world.add(Kind::kModelService,
              R"({"metadata":{"name":"harbour"},"spec":{"model":{"uri":"/srv/models/m.gguf"},)"
              R"("engine":{)" +
                  engine + R"(},"variants":[)" + variants + "]" + more + "}}");
  }
  void node(int64_t device_gibibytes) {
    const std::string devices =
        R"([{\"resource\":\"nvidia.com/gpu\",\"id\":\"gpu-0\",\"memoryBytes\":)" +
        std::to_string(device_gibibytes << 30) + "}]";
    world.add(Kind::kNode, R"({"metadata":{"name":"n","annotations":{"berth.dev/devices":")" +
                               devices + R"("}}})");
  }
  void settle() { world.settle(kModelService, key); }
  int64_t replicas(const std::string& name) {
    return find_int(world.json({Kind::kDeployment, "default", name}), {"spec", "replicas"}, -1);
  }
  std::vector<std::string> command() {
    std::vector<std::string> words;
    for (const Json& container :
         find_array(world.json(deployment), {"spec", "template", "spec", "containers"}))
      for (const Json& word : find_array(container, {"command"}))
        words.emplace_back(word.get_string());
    return words;
  }
  std::string condition(std::string_view type, std::string_view field = "status") {
    const Json* found = find_condition(world.json(key), type);
    return found == nullptr ? "none" : std::string(find_string(*found, {field}));
  }
};

TEST_F(ModelServiceTest, HasADeploymentAndAServiceInFront) {
  service(R"(,"replicas":{"min":2,"max":4},"queue":"product")");
  settle();
  EXPECT_EQ(replicas("harbour"), 2);
  EXPECT_THAT(command(), ElementsAre("llama-server", "--model", "/model/m.gguf", "--alias",
                                     "harbour", "--host", "0.0.0.0", "--port", "8080", "--metrics",
                                     "--parallel", "4", "--ctx-size", "16384"));
  const Json& pod = world.json(deployment);
  EXPECT_EQ(find_string(pod, {"spec", "template", "metadata", "labels", "berth.dev/queue"}),
            "product");
  EXPECT_EQ(find_string(world.json({Kind::kService, "default", "harbour"}),
                        {"spec", "selector", "berth.dev/model-service"}),
            "harbour");
  EXPECT_EQ(condition("Available"), "False");
}

TEST_F(ModelServiceTest, RunsAsManyAsScalingWantsWithinItsRange) {
  service(R"(,"replicas":{"min":1,"max":4})");
  settle();
  world.change(key, R"({"status":{"desired":{"default":3}}})");
  settle();
  EXPECT_EQ(replicas("harbour"), 3);
  world.change(key, R"({"status":{"desired":{"default":9}}})");
  settle();
  EXPECT_EQ(replicas("harbour"), 4);
  world.change(key, R"({"status":{"desired":{"default":0}}})");
  settle();
  EXPECT_EQ(replicas("harbour"), 1);
}

TEST_F(ModelServiceTest, GatewaysLearnOfTheObjectiveAndOfItsChanges) {
  const Key front{Kind::kService, "default", "harbour"};
  const auto told = [&](std::string_view what) {
    return find_string(world.json(front), {"metadata", "annotations", what}, "nothing");
  };
  service(
      R"(,"objective":{"ttft":{"target":"2s"},"tpot":{"target":"60ms"},"latency":{"target":"9s"}})");
  settle();
  EXPECT_EQ(told("berth.dev/objective"), "ttft=2s,tpot=60ms,latency=9s");
  EXPECT_EQ(told("berth.dev/health-path"), "/health");
  world.change(front, R"({"metadata":{"annotations":{"team":"ann"}}})");
  world.change(key, R"({"spec":{"objective":null}})");
  settle();
  EXPECT_EQ(told("berth.dev/objective"), "nothing");
  EXPECT_EQ(told("team"), "ann") << "other people's stay";
}

TEST_F(ModelServiceTest, VariantsShareTheRange) {
  service(R"(,"replicas":{"min":1,"max":3})",
          R"({"name":"small","count":"0.5"},{"name":"large","count":"2"})");
  settle();
  EXPECT_EQ(replicas("harbour-small"), 1);
  EXPECT_EQ(replicas("harbour-large"), 0);
  world.change(key, R"({"status":{"desired":{"small":0,"large":5}}})");
  settle();
  EXPECT_EQ(replicas("harbour-small"), 0);
  EXPECT_EQ(replicas("harbour-large"), 3);
  world.change(key, R"({"spec":{"variants":[{"name":"small","count":"0.5"}]}})");
  settle();
  EXPECT_EQ(world.view.find({Kind::kDeployment, "default", "harbour-large"}), nullptr);
}

TEST_F(ModelServiceTest, WhatCannotFitIsRefusedWithTheArithmetic) {
  node(16);
  service();
  settle();
  EXPECT_EQ(condition("Fits"), "False");
  EXPECT_EQ(condition("Fits", "message"),
            "a replica needs 16.0 GiB of weights + 4 x 4096 tokens x 128 KiB = 2.0 GiB of KV cache "
            "+ 883 MiB for the engine = 18.9 GiB, but 1 nvidia.com/gpu of 16.0 GiB is 16.0 GiB");
  EXPECT_THAT(world.notes, Contains("DoesNotFit"));
  EXPECT_EQ(replicas("harbour"), 0);

  world.view.remove({Kind::kNode, "", "n"}, world.now);
  node(80);
  settle();
  EXPECT_EQ(condition("Fits"), "True");
  EXPECT_EQ(replicas("harbour"), 1);
}

TEST_F(ModelServiceTest, AModelThatIsNotThereStartsNothing) {
  world.view.set_model_reader([](const std::string& path) -> Result<platform::ModelHeader> {
    return fail(ErrorCode::kNotFound, "no such model", path, "write the path of a file or folder");
  });
  service();
  settle();
  EXPECT_EQ(condition("Fits", "message"),
            "/srv/models/m.gguf: no such model; write the path of a file or folder");
  EXPECT_EQ(replicas("harbour"), 0);
}

TEST_F(ModelServiceTest, AChangeOfTheEngineChangesTheDeploymentInPlace) {
  service();
  settle();
  const std::string uid = world.view.find(deployment)->uid;
  world.change(
      key, R"({"spec":{"engine":{"args":["--threads","2"],"env":[{"name":"A","value":"b"}]}}})");
  settle();
  EXPECT_EQ(world.view.find(deployment)->uid, uid);
  EXPECT_THAT(command(), Contains("--threads"));
}

TEST_F(ModelServiceTest, WhereANewVersionHasNoRoomBesideTheOldOneThatMakesRoom) {
  const auto may_be_missing = [&] {
    return find_int(world.json(deployment), {"spec", "strategy", "rollingUpdate", "maxUnavailable"},
                    -1);
  };
  service();
  settle();
  EXPECT_EQ(may_be_missing(), 0);
  world.change(deployment, R"({"status":{"replicas":2,"updatedReplicas":1}})");
  world.add(Kind::kPod, R"({"metadata":{"name":"new","labels":{"berth.dev/model-service":"harbour",
    "berth.dev/variant":"harbour"}},"status":{"phase":"Pending",
    "conditions":[{"type":"PodScheduled","status":"False"}]}})");
  const auto again = world.settle(kModelService, key);
  EXPECT_EQ(may_be_missing(), 0);
  ASSERT_TRUE(again);
  world.now = *again;
  settle();
  EXPECT_EQ(may_be_missing(), 1);
  EXPECT_THAT(world.notes, Contains("NoRoomBeside"));

  world.change(deployment, R"({"status":{"replicas":1,"updatedReplicas":1}})");
  settle();
  EXPECT_EQ(may_be_missing(), 0);
}

TEST_F(ModelServiceTest, ADeploymentOfAnotherOwnerIsLeftAlone) {
  world.add(Kind::kDeployment, R"({"metadata":{"name":"harbour"},"spec":{"replicas":7}})");
  service();
  settle();
  EXPECT_EQ(replicas("harbour"), 7);
  EXPECT_EQ(condition("Progressing", "reason"), "NameTaken");
}

TEST_F(ModelServiceTest, EachEngineKnowsItsCommand) {
  service("", R"({"count":"2"})", R"("kind":"vllm","sequences":64)");
  settle();
  EXPECT_THAT(command(),
              ElementsAre("vllm", "serve", "/model/m.gguf", "--served-model-name", "harbour",
                          "--host", "0.0.0.0", "--port", "8000", "--max-model-len", "4096",
                          "--max-num-seqs", "64", "--tensor-parallel-size", "2"));
  world.change(key,
               R"({"spec":{"engine":{"kind":"llamacpp","command":["/opt/venv/bin/python3"]}}})");
  settle();
  ASSERT_GE(command().size(), 3u);
  EXPECT_EQ(command()[1], "-c");
  EXPECT_THAT(command()[2], HasSubstr("xllamacpp.Server"));
}

}  // namespace
}  // namespace berth::controllers
