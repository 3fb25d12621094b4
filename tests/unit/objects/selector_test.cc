#include "objects/selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "objects/json_text.h"

namespace berth::objects {
namespace {

using testing::HasSubstr;

struct LabelCase {
  const char* selector;
  const char* labels;  // JSON
  bool matches;
};

class LabelSelectorTest : public testing::TestWithParam<LabelCase> {};
TEST_P(LabelSelectorTest, Matches) {
  const auto selector = LabelSelector::parse(GetParam().selector);
  ASSERT_TRUE(selector) << selector.error().to_string();
  const Json labels = parse_json(GetParam().labels)->value;
  EXPECT_EQ(selector->matches(labels.get_object()), GetParam().matches) << GetParam().selector;
  const auto again = LabelSelector::parse(selector->to_string());
  ASSERT_TRUE(again) << selector->to_string();
  EXPECT_EQ(again->requirements(), selector->requirements());
}
INSTANTIATE_TEST_SUITE_P(
    Cases, LabelSelectorTest,
    testing::Values(LabelCase{"", R"({"a":"1"})", true}, LabelCase{"a=1", R"({"a":"1"})", true},
                    LabelCase{"a==1", R"({"a":"2"})", false}, LabelCase{"a=", R"({"a":""})", true},
                    LabelCase{"a!=1", R"({})", true}, LabelCase{"a!=1", R"({"a":"1"})", false},
                    LabelCase{"a", R"({"a":""})", true}, LabelCase{"!a", R"({"a":""})", false},
                    LabelCase{"! a", R"({})", true}, LabelCase{"a in (1, 2)", R"({"a":"2"})", true},
                    LabelCase{"a in (1,)", R"({"a":""})", true},
                    LabelCase{"a notin (1,2),b", R"({"b":"x"})", true},
                    LabelCase{" a = 1 , b in (x) ", R"({"a":"1","b":"x"})", true},
                    LabelCase{"cores>4", R"({"cores":"8"})", true},
                    LabelCase{"cores<4", R"({"cores":"8"})", false},
                    LabelCase{"cores>4", R"({"cores":"many"})", false},
                    LabelCase{"app.io/name=x", R"({"app.io/name":"x"})", true}));

TEST(LabelSelectorErrorTest, SaysWhatIsWrong) {
  for (const char* text : {"a in 1", "a in (1", "=1", "a=1 b=2", "a,", ",a", "a in (1)) ", "a>x",
                           "-a=1", "a=b/c", "a=1=2", "!!a", "a notin", "in (a)("})
    EXPECT_FALSE(LabelSelector::parse(text)) << text;
  EXPECT_THAT(LabelSelector::parse("a in 1").error().to_string(), HasSubstr("`(` must follow"));
}

TEST(LabelSelectorTest, ReadsTheObjectForm) {
  const auto from = [](std::string_view text) {
    return LabelSelector::from_json(parse_json(text)->value);
  };
  EXPECT_EQ(
      from(R"({"matchLabels":{"b":"2","a":"1"},"matchExpressions":)"
           R"([{"key":"c","operator":"In","values":["y","x"]},{"key":"d","operator":"Exists"}]})")
          ->to_string(),
      "a=1,b=2,c in (x,y),d");
  EXPECT_TRUE(from("{}")->everything());
  EXPECT_FALSE(from("null")->matches(JsonObject()));
  EXPECT_FALSE(from(R"({"matchExpressions":[{"key":"c","operator":"Is"}]})"));
  EXPECT_FALSE(from(R"({"matchExpressions":[{"key":"c","operator":"In"}]})"));
  EXPECT_FALSE(from(R"({"matchLabels":{"a":1}})"));
}

TEST(FieldSelectorTest, MatchesWhatTheKindAllows) {
  const auto registry = Registry::built_in();
  const Kind& pod = *registry->find_kind("v1", "Pod");
  const Json object =
      parse_json(R"({"metadata":{"name":"a","namespace":"x"},"spec":{"nodeName":"n"},)"
                 R"("status":{"phase":"Running"}})")
          ->value;
  const auto matches = [&](std::string_view text) {
    const auto selector = FieldSelector::parse(pod, text);
    return selector && selector->matches(object);
  };
  EXPECT_TRUE(matches(""));
  EXPECT_TRUE(matches("spec.nodeName=n,status.phase!=Failed"));
  EXPECT_TRUE(matches("metadata.name==a"));
  EXPECT_FALSE(matches("status.phase=Failed"));
  EXPECT_TRUE(matches("status.podIP="));
  EXPECT_TRUE(matches("spec.hostNetwork=false"));
  EXPECT_FALSE(FieldSelector::parse(pod, "spec.image=a"));
  EXPECT_FALSE(FieldSelector::parse(pod, "metadata.name"));
  EXPECT_THAT(FieldSelector::parse(pod, "spec.image=a").error().to_string(),
              HasSubstr("pods cannot be selected by the field `spec.image`; use metadata.name"));
  const Kind& node = *registry->find_kind("v1", "Node");
  EXPECT_TRUE(FieldSelector::parse(node, "spec.unschedulable=false")->matches(object));
  EXPECT_FALSE(FieldSelector::parse(node, "metadata.namespace=x"));
}

}  // namespace
}  // namespace berth::objects
