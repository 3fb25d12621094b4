#include "node/images/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

using ::testing::HasSubstr;

std::string completed(std::string_view text) {
  const auto reference = parse_image_reference(text);
  return reference ? reference->to_string() : reference.error().to_string();
}

TEST(ImageReference, IsCompletedAsEnginesDo) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(completed("busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(completed("busybox:1.36"), "docker.io/library/busybox:1.36");
  EXPECT_EQ(completed("vllm/vllm-openai"), "docker.io/vllm/vllm-openai:latest");
  EXPECT_EQ(completed("nvcr.io/nvidia/tritonserver:24.01-py3"),
            "nvcr.io/nvidia/tritonserver:24.01-py3");
  EXPECT_EQ(completed("localhost:5000/a"), "localhost:5000/a:latest");
  EXPECT_EQ(completed("localhost/a"), "localhost/a:latest");
  EXPECT_EQ(completed("a@" + digest), "docker.io/library/a@" + digest);
  EXPECT_EQ(completed("a:1@" + digest), "docker.io/library/a:1@" + digest);
  EXPECT_EQ(completed("a__b/c--d"), "docker.io/a__b/c--d:latest");
  EXPECT_EQ(parse_image_reference("a:1@" + digest)->to_pull(), "docker.io/library/a@" + digest);
}

TEST(ImageReference, SaysWhatIsWrong) {
  EXPECT_THAT(completed(""), HasSubstr("empty"));
  EXPECT_THAT(completed("Busybox"), HasSubstr("lower-case letters only"));
  EXPECT_THAT(completed("a:"), HasSubstr("not a tag"));
  EXPECT_THAT(completed("a@sha256:12"), HasSubstr("digest is wrong"));
  EXPECT_THAT(completed("a b"), HasSubstr("not a repository name"));
  for (const char* bad : {"a//b", "/a", "a/", "-a", "a_", "a___b", "a..b", "x.y:port/a", ".x.y/a",
                          "../etc", "a;b", "$(a)", "--option/x", "_a"})
    EXPECT_FALSE(parse_image_reference(bad)) << bad;
  EXPECT_THAT(completed(std::string(300, 'a')), HasSubstr("too long"));
}

TEST(ImageReference, KnowsLoopbackRegistries) {
  EXPECT_TRUE(parse_image_reference("localhost:5000/a")->registry_is_loopback());
  EXPECT_TRUE(parse_image_reference("127.0.0.1:5000/a")->registry_is_loopback());
  EXPECT_TRUE(parse_image_reference("[::1]:5000/a")->registry_is_loopback());
  EXPECT_FALSE(parse_image_reference("a")->registry_is_loopback());
  EXPECT_FALSE(parse_image_reference("localhost.evil.example/a")->registry_is_loopback());
}

}  // namespace
}  // namespace berth::node
