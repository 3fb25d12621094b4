#include "base/quantity.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace berth {
namespace {

struct Spelling {
  const char* text;
  int64_t milli;
  const char* canonical;
};

class QuantityTest : public testing::TestWithParam<Spelling> {};
TEST_P(QuantityTest, IsReadAndWrittenAsKubernetesDoes) {
  const auto quantity = Quantity::parse(GetParam().text);
  ASSERT_TRUE(quantity) << quantity.error().to_string();
  EXPECT_EQ(quantity->milli(), GetParam().milli);
  EXPECT_EQ(quantity->to_string(), GetParam().canonical);
}
INSTANTIATE_TEST_SUITE_P(
    Spellings, QuantityTest,
    testing::Values(
        Spelling{"0", 0, "0"}, Spelling{"1", 1000, "1"}, Spelling{"500m", 500, "500m"},
        Spelling{"1000m", 1000, "1"}, Spelling{"1500m", 1500, "1500m"},
        Spelling{"1.5", 1500, "1500m"}, Spelling{"0.1", 100, "100m"}, Spelling{".5", 500, "500m"},
        Spelling{"5.", 5000, "5"}, Spelling{"+2", 2000, "2"}, Spelling{"-2", -2000, "-2"},
        Spelling{"1k", 1'000'000, "1k"}, Spelling{"1000", 1'000'000, "1k"},
        Spelling{"1024", 1'024'000, "1024"}, Spelling{"1Ki", 1'024'000, "1Ki"},
        Spelling{"1024Ki", 1'048'576'000, "1Mi"}, Spelling{"1.5Gi", 1'610'612'736'000, "1536Mi"},
        Spelling{"1e3", 1'000'000, "1e3"}, Spelling{"1E3", 1'000'000, "1e3"},
        Spelling{"12e-1", 1200, "1200e-3"}, Spelling{"1E", INT64_MAX, "9223372036854775807m"},
        Spelling{"1n", 1, "1m"}, Spelling{"1u", 1, "1m"}, Spelling{"1001u", 2, "2m"},
        Spelling{"-1n", -1, "-1m"}, Spelling{"0.0001", 1, "1m"}, Spelling{"0Gi", 0, "0"},
        Spelling{"100000000000000000000000000000000000", INT64_MAX, "9223372036854775807m"}));

TEST(QuantityErrorTest, RefusesWhatIsNone) {
  for (const char* text :
       {"",   "-",      "+",    ".",  "1.2.3", "abc", "1 Gi", "1gi",   "1GB", "1mm", "Gi",
        "1e", "1e1000", "0x10", " 1", "1 ",    "--1", "1-",   "1_000", "NaN", "inf", "1Kii"})
    EXPECT_FALSE(Quantity::parse(text)) << text;
  EXPECT_EQ(Quantity::parse("1GB").error().to_string(),
            "`1GB` is not a quantity; write a number with an optional suffix, such as 500m, 2, 1.5 "
            "or 16Gi");
}

TEST(QuantityTest, WholeUnitsRoundUp) {
  EXPECT_EQ(Quantity::parse("1500m")->units(), 2);
  EXPECT_EQ(Quantity::parse("-1500m")->units(), -1);
  EXPECT_EQ(Quantity::from_bytes(int64_t{80} << 30).to_string(), "80Gi");
  EXPECT_EQ(Quantity::from_units(INT64_MAX).milli(), INT64_MAX);
}

RC_GTEST_PROP(QuantityProperty, CanonicalTextKeepsTheValueAndIsCanonical, (int64_t milli)) {
  for (const auto format : {Quantity::Format::kDecimalSi, Quantity::Format::kBinarySi,
                            Quantity::Format::kDecimalExponent}) {
    const std::string text = Quantity::from_milli(milli, format).to_string();
    const auto read = Quantity::parse(text);
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->milli() == milli);
    RC_ASSERT(read->to_string() == text);
  }
}

RC_GTEST_PROP(QuantityProperty, OrderFollowsTheNumbers, (int32_t a, int32_t b)) {
  const auto x = Quantity::parse(std::to_string(a) + "Ki");
  const auto y = Quantity::parse(std::to_string(b) + "Ki");
  RC_ASSERT((*x < *y) == (a < b));
  RC_ASSERT((*x == *y) == (a == b));
}

RC_GTEST_PROP(QuantityProperty, NoTextMakesItFail, (const std::string& text)) {
  const auto quantity = Quantity::parse(text);
  if (quantity) RC_ASSERT(Quantity::parse(quantity->to_string())->milli() == quantity->milli());
}

TEST(Quantity, ManyDigitsWithABinarySuffixKeepTheirMagnitude) {
  EXPECT_EQ(Quantity::parse("999.99999999999999999999999993Ti")->to_string(), "1000Ti");
}

}  // namespace
}  // namespace berth
