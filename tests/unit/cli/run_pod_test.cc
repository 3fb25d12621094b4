#include "cli/run/run_pod.h"

#include <gtest/gtest.h>

#include "objects/json_text.h"

namespace berth::cli {
namespace {

RunSite site() {
  RunSite here;
  here.uid = 1001;
  here.gid = 1002;
  here.groups = {1002, 44};
  here.folder = "/home/alice/work";
  here.environment = {{"PATH", "/usr/bin"},      {"HF_TOKEN", "hush"},
                      {"HF_HOME", "/data"},      {"SSH_AUTH_SOCK", "/tmp/x"},
                      {"WANDB_API_KEY", "hush"}, {"CUDA_VISIBLE_DEVICES", "0"}};
  return here;
}

RunOptions options() {
  RunOptions given;
  given.command = {"python", "train.py", "--steps", "10"};
  return given;
}

std::string env_value(const Json& pod, std::string_view name) {
  for (const Json& variable :
       objects::find_array(objects::find_array(pod, {"spec", "containers"})[0], {"env"})) {
    if (objects::find_string(variable, {"name"}) == name) {
      return std::string(objects::find_string(variable, {"value"}));
    }
  }
  return "<unset>";
}

const Json& container(const Json& pod) {
  return objects::find_array(pod, {"spec", "containers"})[0];
}

TEST(RunPod, RunsAsTheCallerInTheCallersFolder) {
  const auto pod = run_pod(options(), site());
  ASSERT_TRUE(pod) << pod.error().to_string();
  EXPECT_EQ(objects::find_string(*pod, {"metadata", "generateName"}), "train-");
  EXPECT_EQ(objects::find_int(*pod, {"spec", "securityContext", "runAsUser"}), 1001);
  EXPECT_EQ(objects::find_int(*pod, {"spec", "securityContext", "runAsGroup"}), 1002);
  EXPECT_EQ(objects::find_string(container(*pod), {"image"}), "host");
  EXPECT_EQ(objects::find_string(container(*pod), {"workingDir"}), "/home/alice/work");
  EXPECT_EQ(
      objects::find_string(objects::find_array(*pod, {"spec", "volumes"})[0], {"hostPath", "path"}),
      "/home/alice/work");
  EXPECT_EQ(objects::find_array(container(*pod), {"command"}).size(), 4U);
  EXPECT_EQ(objects::find_string(*pod, {"spec", "restartPolicy"}), "Never");
}

TEST(RunPod, AsksForWhatWasAskedFor) {
  RunOptions given = options();
  given.gpus = "2";
  given.cpus = "8";
  given.memory = "16Gi";
  given.time = "2h";
  given.queue = "research";
  given.name = "night";
  const auto pod = run_pod(given, site());
  ASSERT_TRUE(pod);
  EXPECT_EQ(objects::canonical_json(*objects::find(container(*pod), {"resources", "limits"})),
            R"({"cpu":"8","memory":"16Gi","nvidia.com/gpu":"2"})");
  EXPECT_EQ(objects::find_int(*pod, {"spec", "activeDeadlineSeconds"}), 7200);
  EXPECT_EQ(objects::find_string(*pod, {"metadata", "labels", "berth.dev/queue"}), "research");
  EXPECT_EQ(objects::find_string(*pod, {"metadata", "annotations", "berth.dev/expected-duration"}),
            "2h0m0s");
  EXPECT_EQ(objects::find_string(*pod, {"metadata", "name"}), "night");
}

TEST(RunPod, AShareOfAGpuIsAnAnnotation) {
  RunOptions given = options();
  given.gpus = "0.5";
  const auto pod = run_pod(given, site());
  ASSERT_TRUE(pod);
  EXPECT_EQ(objects::find_string(*pod, {"metadata", "annotations", "berth.dev/gpu-fraction"}),
            "0.5");
  EXPECT_EQ(objects::find(container(*pod), {"resources"}), nullptr);
}

TEST(RunPod, PassesVariablesOnButNotSecrets) {
  RunOptions given = options();
  const auto pod = run_pod(given, site());
  ASSERT_TRUE(pod);
  EXPECT_EQ(env_value(*pod, "PATH"), "/usr/bin");
  EXPECT_EQ(env_value(*pod, "HF_HOME"), "/data");
  for (const char* kept_back :
       {"HF_TOKEN", "WANDB_API_KEY", "SSH_AUTH_SOCK", "CUDA_VISIBLE_DEVICES"}) {
    EXPECT_EQ(env_value(*pod, kept_back), "<unset>") << kept_back;
  }
  given.env = {"HF_TOKEN", "MODE=fast=1"};
  const auto named = run_pod(given, site());
  ASSERT_TRUE(named);
  EXPECT_EQ(env_value(*named, "HF_TOKEN"), "hush");
  EXPECT_EQ(env_value(*named, "MODE"), "fast=1");
}

TEST(RunPod, AnEnvironmentElsewhereIsMounted) {
  RunSite here = site();
  here.environment["VIRTUAL_ENV"] = "/home/alice/venv";
  const auto pod = run_pod(options(), here);
  ASSERT_TRUE(pod);
  ASSERT_EQ(objects::find_array(container(*pod), {"volumeMounts"}).size(), 2U);
  const Json& mount = objects::find_array(container(*pod), {"volumeMounts"})[1];
  EXPECT_EQ(objects::find_string(mount, {"mountPath"}), "/home/alice/venv");
  EXPECT_TRUE(objects::find_bool(mount, {"readOnly"}));
}

TEST(RunPod, RefusesWhatMakesNoSense) {
  const auto refused = [](auto change) {
    RunOptions given = options();
    change(given);
    const auto pod = run_pod(given, site());
    return !pod && pod.error().code == ErrorCode::kInvalid;
  };
  EXPECT_TRUE(refused([](RunOptions& o) { o.gpus = "1.5"; }));
  EXPECT_TRUE(refused([](RunOptions& o) { o.gpus = "-1"; }));
  EXPECT_TRUE(refused([](RunOptions& o) { o.gpus = "two"; }));
  EXPECT_TRUE(refused([](RunOptions& o) { o.memory = "16Gb"; }));
  EXPECT_TRUE(refused([](RunOptions& o) { o.cpus = "0"; }));
  EXPECT_TRUE(refused([](RunOptions& o) { o.time = "2"; }));
  EXPECT_TRUE(refused([](RunOptions& o) { o.name = "Not_A_Name"; }));
  EXPECT_TRUE(refused([](RunOptions& o) { o.env = {"UNSET_HERE"}; }));
}

}  // namespace
}  // namespace berth::cli
