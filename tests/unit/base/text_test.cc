#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth {
namespace {

using testing::ElementsAre;

TEST(TextTest, ClosestFindsWhatWasMeant) {
  const std::vector<std::string_view> fields = {"metadata", "spec", "status", "apiVersion", "kind"};
  EXPECT_EQ(closest("meta", fields), "metadata");
  EXPECT_EQ(closest("Spec", fields), "spec");
  EXPECT_EQ(closest("apiversion", fields), "apiVersion");
  EXPECT_EQ(closest("stauts", fields), "status");
  const std::vector<std::string_view> kinds{"Pod", "Job"};
  EXPECT_EQ(closest("Pdo", kinds), "Pod");
  EXPECT_EQ(closest("odP", kinds), "");
  EXPECT_EQ(closest("replicas", fields), "");
  EXPECT_EQ(closest("x", fields), "");
  EXPECT_EQ(closest("", fields), "");
  EXPECT_EQ(closest("spec", {}), "");
}

TEST(TextTest, SplitKeepsEmptyParts) {
  EXPECT_THAT(split("a,b,,c", ','), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_THAT(split(",", ','), ElementsAre("", ""));
}

TEST(TextTest, TrimTakesSpaceOffBothEnds) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" "), "");
  EXPECT_EQ(trim(""), "");
}

}  // namespace
}  // namespace berth
