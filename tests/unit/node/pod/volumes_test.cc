#include "node/pod/volumes.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "objects/json_text.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;

TEST(PodVolumes, WhatTheApiHasIsForReading) {
  const auto object = objects::parse_json(
      R"({"metadata":{"name":"p","namespace":"d","uid":"0a1b2c3d-0000-4000-8000-000000000000"},"spec":{"containers":[{"name":"c",
      "image":"host","volumeMounts":[{"name":"config","mountPath":"/a"},
      {"name":"scratch","mountPath":"/b"}]}],"volumes":[{"name":"config","configMap":{"name":"m"}},
      {"name":"scratch","emptyDir":{}}]}})");
  const auto pod = read_pod(object->value);
  ASSERT_TRUE(pod) << pod.error().to_string();
  EXPECT_TRUE(pod->containers[0].mounts[0].read_only);
  EXPECT_FALSE(pod->containers[0].mounts[1].read_only);
}

class HostPathTest : public testing::Test {
 protected:
  const fs::path root =
      fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
  VolumeOptions options;

  void SetUp() override {
    fs::create_directories(root / "shown/models");
    fs::create_directories(root / "shown-not");
    options.host_dirs = {root / "shown"};
  }
  void TearDown() override { fs::remove_all(root); }

  bool is_allowed(const fs::path& path, bool read_only = true) {
    auto object = objects::parse_json(
        R"({"metadata":{"name":"p","namespace":"d","uid":"0a1b2c3d-0000-4000-8000-000000000000"},"spec":{"containers":[{"name":"c","image":"host",
        "command":["true"],"volumeMounts":[{"name":"v","mountPath":"/v","readOnly":)" +
        std::string(read_only ? "true" : "false") +
        R"(}]}],"volumes":[{"name":"v","hostPath":{"path":")" + path.string() + R"("}}]}})");
    const auto pod = read_pod(object->value);
    EXPECT_TRUE(pod) << pod.error().to_string();
    const auto volumes = ensure_volumes(*pod, PodPaths(root.string(), "u"), {}, {}, options);
    EXPECT_TRUE(volumes || volumes.error().code == ErrorCode::kForbidden);
    return volumes.has_value();
  }
};

TEST_F(HostPathTest, IsForbiddenUnlessAllowed) {
  EXPECT_FALSE(is_allowed(root / "shown-not"));
  options.allow_host_path = true;
  EXPECT_TRUE(is_allowed(root / "shown-not"));
}

TEST_F(HostPathTest, WhatTheImageHostShowsMayBeReadByAnybody) {
  EXPECT_TRUE(is_allowed(root / "shown"));
  EXPECT_TRUE(is_allowed(root / "shown/models"));
  EXPECT_FALSE(is_allowed(root / "shown/models", false));
  EXPECT_FALSE(is_allowed(root / "shown/../shown-not"));
  fs::create_directory_symlink(root / "shown-not", root / "shown/link");
  EXPECT_FALSE(is_allowed(root / "shown/link"));
}

}  // namespace
}  // namespace berth::node
