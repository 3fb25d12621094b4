#include "node/images/image_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/images/image_transfer.h"
#include "node/images/mounts_in_use.h"

namespace berth::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ImageConfig, ReadsWhatARuntimeNeeds) {
  const auto config = parse_image_config(
      R"({"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Entrypoint":["/e"],
          "Cmd":["c","d"],"User":"me:us","WorkingDir":"/w","StopSignal":"SIGINT"}})",
      "amd64");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_THAT(config->env, ElementsAre("A=b"));
  EXPECT_THAT(config->entrypoint, ElementsAre("/e"));
  EXPECT_THAT(config->cmd, ElementsAre("c", "d"));
  EXPECT_EQ(config->user, "me:us");
  EXPECT_EQ(config->working_dir, "/w");
  EXPECT_EQ(config->stop_signal, "SIGINT");
}

TEST(ImageConfig, NullsAndMissingPartsAreEmpty) {
  const auto config =
      parse_image_config(R"({"config":{"Env":null,"Cmd":null,"Entrypoint":[1]}})", "amd64");
  ASSERT_TRUE(config);
  EXPECT_THAT(config->env, IsEmpty());
  EXPECT_THAT(config->entrypoint, IsEmpty());
  EXPECT_TRUE(parse_image_config("{}", "amd64"));
}

TEST(ImageConfig, RefusesOtherMachines) {
  const auto config = parse_image_config(R"({"architecture":"arm64","os":"linux"})", "amd64");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(config.error().to_string(), HasSubstr("linux/arm64"));
  EXPECT_FALSE(parse_image_config(R"({"os":"windows"})", "amd64"));
  EXPECT_FALSE(parse_image_config("not json", "amd64"));
}

TEST(SkopeoErrors, AreSortedByWhoMustAct) {
  const auto code = [](std::string_view text) {
    return read_skopeo_error(text, "docker://r/a:1").code;
  };
  EXPECT_EQ(code("level=fatal msg=\"... manifest unknown: x\""), ErrorCode::kNotFound);
  EXPECT_EQ(code("level=fatal msg=\"... unauthorized: authentication required\""),
            ErrorCode::kNotFound);
  EXPECT_EQ(code("level=fatal msg=\"status code from registry 404 (Not Found)\""),
            ErrorCode::kNotFound);
  EXPECT_EQ(code("level=fatal msg=\"dial tcp 127.0.0.1:40485: connection refused\""),
            ErrorCode::kUnavailable);
  EXPECT_EQ(read_skopeo_error("msg=\"unexpected EOF\"", "oci-archive:/x").code,
            ErrorCode::kInvalid);
  EXPECT_EQ(
      read_skopeo_error("time=\"t\" level=fatal msg=\"Get \\\"https://x\\\": no\"", "docker://x")
          .what,
      "Get \"https://x\": no");
}

TEST(MountsInUse, OverlaysAndBinds) {
  std::set<std::string> names;
  add_mounted_below(
      "1 2 0:1 / /merged rw - overlay overlay rw,lowerdir=/d/unpacked/aa/rootfs,upperdir=/u\n"
      "1 2 0:1 /d/unpacked/bb/rootfs /x rw - ext4 /dev/a rw\n"
      "1 2 0:1 / /m rw - overlay o rw,lowerdir=/d/unpacked/cc/rootfs:/d/unpacked/dd/rootfs\n"
      "1 2 0:1 / /d/unpackedx/ee rw - ext4 /dev/a rw\n",
      "/d/unpacked", names);
  EXPECT_THAT(names, ElementsAre("aa", "bb", "cc", "dd"));
}

}  // namespace
}  // namespace berth::node
