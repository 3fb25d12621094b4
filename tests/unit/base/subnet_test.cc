#include "base/subnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth {
namespace {

using ::testing::HasSubstr;

TEST(Subnet, ParsesAndPrints) {
  EXPECT_EQ(parse_subnet("10.4.0.0/16")->to_string(), "10.4.0.0/16");
  EXPECT_EQ(parse_subnet("0.0.0.0/0")->mask(), 0U);
  for (const char* bad : {"", "10.4.0.0", "10.4.0.0/", "10.4.0.0/33", "10.4.0/16", "a/8",
                          "10.4.0.0/x", "10.4.0.256/8", "10.04.0.0/16", "10.4.0.0.0/16"})
    EXPECT_FALSE(parse_subnet(bad)) << bad;
  EXPECT_THAT(parse_subnet("10.4.1.0/16").error().to_string(), HasSubstr("write 10.4.0.0/16"));
}

TEST(Subnet, Overlaps) {
  EXPECT_TRUE(parse_subnet("10.0.0.0/8")->overlaps(*parse_subnet("10.4.0.0/16")));
  EXPECT_TRUE(parse_subnet("10.4.0.0/16")->overlaps(*parse_subnet("10.0.0.0/8")));
  EXPECT_FALSE(parse_subnet("10.4.0.0/16")->overlaps(*parse_subnet("10.5.0.0/16")));
}

}  // namespace
}  // namespace berth
