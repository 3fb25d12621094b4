#include "objects/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace berth::objects {
namespace {

using testing::HasSubstr;

TEST(JsonTextTest, ReadsWhatItWrites) {
  const auto parsed = parse_json(R"( {"b": [1, -2.5, true, null, "x\n\u0001é\"\\"], "a": {}} )");
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(canonical_json(parsed->value),
            "{\"a\":{},\"b\":[1,-2.5,true,null,\"x\\n\\u0001é\\\"\\\\\"]}");
  EXPECT_TRUE(parsed->duplicates.empty());
}

TEST(JsonTextTest, IntegersKeepAllTheirBits) {
  const auto parsed = parse_json("[9223372036854775807,-9223372036854775808,18446744073709551615]");
  EXPECT_EQ(canonical_json(parsed->value),
            "[9223372036854775807,-9223372036854775808,18446744073709551615]");
}

TEST(JsonTextTest, NumbersTooSmallAreZeroOfOneSpelling) {
  EXPECT_EQ(canonical_json(parse_json("[-1e-999,-0.0,0e5]")->value), "[0,0,0]");
}

TEST(JsonTextTest, FindsEveryDuplicateKeyWithItsPlace) {
  const auto parsed = parse_json(
      "{\"a\": 1,\n \"l\": [{}, {\"x\": 1, \"y\": {\"x\": 2},\n  \"x\": 3}],\n"
      " \"\\u0061\": 2}");
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->duplicates.size(), 2u);
  EXPECT_EQ(parsed->duplicates[0].path, "l[1].x");
  EXPECT_EQ(parsed->duplicates[0].at, (Position{3, 3}));
  EXPECT_EQ(parsed->duplicates[1].path, "a");
  EXPECT_EQ(canonical_json(parsed->value), R"({"a":2,"l":[{},{"x":3,"y":{"x":2}}]})");
}

TEST(JsonTextTest, FindsDuplicatesInLargeObjects) {
  std::string text = "{";
  for (int i = 0; i < 100; ++i) text += "\"k" + std::to_string(i % 99) + "\":1,";
  text.back() = '}';
  const auto parsed = parse_json(text);
  ASSERT_EQ(parsed->duplicates.size(), 1u);
  EXPECT_EQ(parsed->duplicates[0].path, "k0");
}

TEST(JsonTextTest, ErrorsSayWhere) {
  EXPECT_THAT(parse_json("{\"a\": 1,\n  b: 2}").error().to_string(), HasSubstr("2:3: not JSON"));
  for (const char* text :
       {"", "{", "[1,]", "{} {}", "nul", "\"\xff\"", "01", "[1 2]", "{\"a\":}", "1e999"})
    EXPECT_FALSE(parse_json(text)) << text;
  EXPECT_THAT(parse_json(std::string(100000, '[')).error().to_string(), HasSubstr("nested deeper"));
  EXPECT_TRUE(parse_json(std::string(90, '[') + std::string(90, ']')));
}

TEST(JsonTextTest, PrettyIsWhatKubectlPrints) {
  const auto parsed = parse_json(R"({"b":[1,{}],"a":{"x":[]}})");
  EXPECT_EQ(pretty_json(parsed->value),
            "{\n    \"a\": {\n        \"x\": []\n    },\n    \"b\": [\n        1,\n        {}\n    "
            "]\n}\n");
}

RC_GTEST_PROP(JsonTextProperty, CanonicalTextIsReadBackAndStaysTheSame,
              (const std::vector<std::string>& strings, const std::vector<int64_t>& numbers,
               double fraction)) {
  JsonObject object;
  for (const std::string& text : strings)
    if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
      object[text] = Json(text);
  JsonArray array;
  for (int64_t number : numbers) array.push_back(number);
  object["numbers"] = array;
  object["fraction"] = fraction;
  const std::string text = canonical_json(object);
  const auto parsed = parse_json(text);
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(canonical_json(parsed->value) == text);
}

}  // namespace
}  // namespace berth::objects
