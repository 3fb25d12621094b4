#include "objects/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "objects/json_text.h"

namespace berth::objects {
namespace {

using testing::HasSubstr;

std::string read(std::string_view text) {
  const auto documents = parse_yaml(text, "f.yaml");
  if (!documents) return documents.error().to_string();
  std::string out;
  for (const YamlDocument& document : *documents)
    out += (out.empty() ? "" : " | ") + canonical_json(document.value);
  return out;
}

struct ScalarCase {
  const char* yaml;
  const char* json;
};

class ScalarTest : public testing::TestWithParam<ScalarCase> {};
TEST_P(ScalarTest, MeansWhatItMeansToKubernetes) {
  EXPECT_EQ(read(std::string("a: ") + GetParam().yaml),
            std::string("{\"a\":") + GetParam().json + "}");
}
INSTANTIATE_TEST_SUITE_P(
    Scalars, ScalarTest,
    testing::Values(ScalarCase{"yes", "true"}, ScalarCase{"Off", "false"}, ScalarCase{"y", "true"},
                    ScalarCase{"'yes'", "\"yes\""}, ScalarCase{"\"0644\"", "\"0644\""},
                    ScalarCase{"0644", "420"}, ScalarCase{"0o644", "420"}, ScalarCase{"0x1F", "31"},
                    ScalarCase{"0b101", "5"}, ScalarCase{"1_000", "1000"}, ScalarCase{"+12", "12"},
                    ScalarCase{"08", "8"}, ScalarCase{"-7", "-7"}, ScalarCase{"1.5", "1.5"},
                    ScalarCase{"1.0", "1"}, ScalarCase{"1e3", "1000"}, ScalarCase{".5", "0.5"},
                    ScalarCase{"1.", "1"}, ScalarCase{"~", "null"}, ScalarCase{"null", "null"},
                    ScalarCase{"", "null"}, ScalarCase{"''", "\"\""},
                    ScalarCase{"1:30", "\"1:30\""}, ScalarCase{"2001-01-01", "\"2001-01-01\""},
                    ScalarCase{"1.2.3", "\"1.2.3\""}, ScalarCase{"500m", "\"500m\""},
                    ScalarCase{"9223372036854775807", "9223372036854775807"},
                    ScalarCase{"18446744073709551615", "18446744073709551615"},
                    ScalarCase{"-9223372036854775808", "-9223372036854775808"},
                    ScalarCase{"!!str 12", "\"12\""}, ScalarCase{"nope", "\"nope\""}));

TEST(YamlTest, ReadsSeveralDocumentsAndSkipsEmptyOnes) {
  EXPECT_EQ(read("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n"), R"({"a":1} | {"b":2})");
  EXPECT_EQ(read(""), "");
  EXPECT_EQ(read(R"({"a": [1, "x"], "b": null})"), R"({"a":[1,"x"],"b":null})");
}

TEST(YamlTest, KeysThatAreNotTextBecomeText) {
  EXPECT_EQ(read("1: a\ntrue: b\n1.5: c\non: d\n"), R"({"1":"a","1.5":"c","true":"d"})");
  EXPECT_THAT(read("{a: b}: c\n"), HasSubstr("f.yaml:1:1: a key must be text"));
}

TEST(YamlTest, AnchorsAliasesAndMergeKeys) {
  EXPECT_EQ(read("base: &b {x: 1, z: 2}\nuse:\n  <<: *b\n  z: 3\nlist: [*b]\n"),
            R"({"base":{"x":1,"z":2},"list":[{"x":1,"z":2}],"use":{"x":1,"z":3}})");
  EXPECT_EQ(read("a: &a {x: 1}\nb: &b {x: 2, z: 2}\nc: {z: 9, <<: [*a, *b]}\n"),
            R"({"a":{"x":1},"b":{"x":2,"z":2},"c":{"x":1,"z":2}})");
  EXPECT_EQ(read("s: &s text\nt: *s\n"), R"({"s":"text","t":"text"})");
  EXPECT_THAT(read("a: {<<: 3}\n"), HasSubstr("`<<` takes a map"));
  EXPECT_THAT(read("a: &a [*a]\n"), HasSubstr("f.yaml:1:"));
  EXPECT_THAT(read("a: *nowhere\n"), HasSubstr("f.yaml:1:"));
}

TEST(YamlTest, DocumentsThatExpandWithoutEndAreRefused) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(read(bomb), HasSubstr("expands to more than"));
  EXPECT_THAT(read(std::string(200, '[')), HasSubstr("f.yaml:1:"));
  EXPECT_THAT(read(std::string(100000, '[')), HasSubstr("f.yaml:1:"));
}

TEST(YamlTest, ErrorsSayWhereAndWhat) {
  EXPECT_THAT(read("a: 1\n\tb: 2\n"), HasSubstr("indent with spaces, not tabs"));
  EXPECT_THAT(read("a: b: c\n"), HasSubstr("f.yaml:1:5: not YAML: "));
  EXPECT_THAT(read("a: [1, 2\n"), HasSubstr("f.yaml:"));
  EXPECT_THAT(read("a: .inf\n"), HasSubstr("not a finite number"));
  EXPECT_THAT(read("a: 1\nb: \xff\n"), HasSubstr("f.yaml:2:4: not YAML: the text is not UTF-8"));
  EXPECT_THAT(read(std::string("a: \0b\n", 7)), HasSubstr("control character"));
  EXPECT_THAT(read("a: !mine b\n"), HasSubstr("the tag `!mine` is not supported"));
}

TEST(YamlTest, JsonThatEndsTooEarlySaysWhatIsMissing) {
  EXPECT_EQ(read("{\"a\": 1,\n \"b\": [{\"c\": 2"),
            "f.yaml:2:15: not JSON: the text ends where `}]}` is missing, and `{` at 2:8 is open; "
            "add it, or get the whole file");
  EXPECT_EQ(read("{"),
            "f.yaml:1:2: not JSON: the text ends where `}` is missing, and `{` at 1:1 is open; "
            "add it, or get the whole file");
  EXPECT_EQ(read("[{\"a\\\"]\": \"b}"),
            "f.yaml:1:14: not JSON: the text ends where `\"}]` is missing, and `\"` at 1:11 is "
            "open; add it, or get the whole file");
  EXPECT_EQ(read("{\"a\": [1, 2}\n"),
            "f.yaml:1:12: not JSON: `}` stands where `]` is missing, and `[` at 1:7 is open; add "
            "it, or remove the `}`");
  EXPECT_THAT(read("[\"a\"]]\n"), HasSubstr("f.yaml:1:"));
}

TEST(YamlTest, KeepsPositionsAndFindsDuplicates) {
  const auto documents = parse_yaml("a:\n  b:\n  - x\n  - y: 1\n    app.io/z: 2\na: 3\n");
  ASSERT_TRUE(documents);
  const YamlDocument& document = documents->front();
  EXPECT_EQ(document.positions.find("a"), (Position{6, 1}));
  EXPECT_EQ(document.positions.find("a.b[1].y"), (Position{4, 5}));
  EXPECT_EQ(document.positions.find("a.b[1][app.io/z]"), (Position{5, 5}));
  EXPECT_EQ(document.positions.find("a.b[1].missing.deep"), (Position{4, 5}));
  EXPECT_EQ(document.positions.find("nothing"), (Position{1, 1}));
  ASSERT_EQ(document.duplicates.size(), 1u);
  EXPECT_EQ(document.duplicates[0].path, "a");
  EXPECT_EQ(document.duplicates[0].at, (Position{6, 1}));
}

TEST(YamlTest, WritesAsKubectlDoes) {
  const auto parsed = parse_json(
      R"({"kind":"Pod","metadata":{"name":"a","creationTimestamp":"2026-11-23T10:00:00Z"},)"
      R"("spec":{"empty":{},"list":[{"b":"yes","a":"1"},["x"]],"none":[],"script":"a\nb\n"}})");
  EXPECT_EQ(to_yaml(parsed->value), R"(kind: Pod
metadata:
  creationTimestamp: '2026-11-23T10:00:00Z'
  name: a
spec:
  empty: {}
  list:
  - a: "1"
    b: "yes"
  - - x
  none: []
  script: |
    a
    b
)");
}

TEST(YamlTest, ATextWithLinesIsADocumentToo) {
  EXPECT_EQ(read(to_yaml(Json("a: 1\nb\n"))), R"("a: 1\nb\n")");
}

rc::Gen<Json> any_json(int depth) {
  auto text = rc::gen::map(rc::gen::container<std::string>(rc::gen::elementOf(
                               std::string("ab01 .:-_'\"\n\t#{}[]&*!|>%@`~?,yesnoxe\\"))),
                           [](const std::string& s) { return Json(s); });
  auto number = rc::gen::map(rc::gen::arbitrary<int64_t>(), [](int64_t n) { return Json(n); });
  auto boolean = rc::gen::map(rc::gen::arbitrary<bool>(), [](bool b) { return Json(b); });
  if (depth == 0) return rc::gen::oneOf(text, number, boolean, rc::gen::just(Json()));
  auto inner = rc::gen::scale(0.3, rc::gen::container<std::vector<Json>>(
                                       rc::gen::lazy([=] { return any_json(depth - 1); })));
  auto list = rc::gen::map(inner, [](const std::vector<Json>& items) {
    JsonArray array;
    for (const Json& item : items) array.push_back(item);
    return Json(array);
  });
  auto object = rc::gen::map(inner, [](const std::vector<Json>& items) {
    static constexpr const char* kKeys[] = {"a", "b c", "yes", "1", "app.io/x",
                                            "",  ":",   "- x", "<<"};
    JsonObject result;
    for (size_t i = 0; i < items.size(); ++i) result[kKeys[i % 9]] = items[i];
    return Json(result);
  });
  return rc::gen::oneOf(text, list, object, object);
}

RC_GTEST_PROP(YamlProperty, WhatIsWrittenIsReadBackTheSame, ()) {
  const Json value = *any_json(3);
  const auto documents = parse_yaml(to_yaml(JsonObject{{"root", value}}));
  if (!documents) RC_FAIL(documents.error().to_string());
  RC_ASSERT(canonical_json(documents->front().value) ==
            canonical_json(JsonObject{{"root", value}}));
}

}  // namespace
}  // namespace berth::objects
