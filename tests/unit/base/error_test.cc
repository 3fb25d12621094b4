#include "base/error.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(ErrorCode::kInvalid, "odd", "here", "double it");
  return n / 2;
}

Result<int> quarter(int n) {
  BERTH_TRY(const int h, half(n));
  return half(h);
}

Result<> check(int n) {
  BERTH_CHECK(half(n));
  return {};
}

TEST(ErrorTest, SaysWhereWhatAndHowToFixIt) {
  EXPECT_EQ((Error{ErrorCode::kInvalid, "bad", "f:1:2", "do this"}).to_string(),
            "f:1:2: bad; do this");
  EXPECT_EQ((Error{ErrorCode::kInvalid, "bad", "", ""}).to_string(), "bad");
}

TEST(ErrorTest, TravelsUp) {
  EXPECT_EQ(quarter(8), 2);
  EXPECT_EQ(quarter(6).error().what, "odd");
  EXPECT_EQ(check(3).error().fix, "double it");
  EXPECT_TRUE(check(4));
}

TEST(ErrorTest, EveryCodeHasAName) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code)
    EXPECT_NE(to_string(static_cast<ErrorCode>(code)), "unknown");
}

}  // namespace
}  // namespace berth
