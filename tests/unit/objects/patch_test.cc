#include "objects/patch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "objects/json_text.h"

namespace berth::objects {
namespace {

using testing::HasSubstr;

Json json(std::string_view text) {
  const auto parsed = parse_json(text);
  if (!parsed) ADD_FAILURE() << text << ": " << parsed.error().to_string();
  return parsed ? parsed->value : Json();
}

struct PatchCase {
  const char* name;
  const char* before;
  const char* patch;
  const char* after;  // starting with '!': the error
};

std::string name_of_case(const testing::TestParamInfo<PatchCase>& instance) {
  return instance.param.name;
}

std::string outcome(const Result<>& result, const Json& object) {
  return result ? canonical_json(object) : '!' + result.error().to_string();
}

void expect_outcome(const PatchCase& c, const Result<>& result, const Json& object) {
  const std::string_view expected = c.after;
  if (expected.starts_with('!')) {
    EXPECT_THAT(outcome(result, object), HasSubstr(std::string(expected.substr(1))));
    EXPECT_FALSE(result);
    EXPECT_EQ(canonical_json(object), canonical_json(json(c.before))) << "not all or nothing";
  } else {
    EXPECT_EQ(outcome(result, object), canonical_json(json(expected)));
  }
}

class JsonPatchTest : public testing::TestWithParam<PatchCase> {};
TEST_P(JsonPatchTest, Gives) {
  Json object = json(GetParam().before);
  const auto result = apply_json_patch(object, json(GetParam().patch));
  expect_outcome(GetParam(), result, object);
}
// The first ones are those of RFC 6902, appendix A.
INSTANTIATE_TEST_SUITE_P(
    Rfc6902, JsonPatchTest,
    testing::Values(
        PatchCase{"add_member", R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])",
                  R"({"baz":"qux","foo":"bar"})"},
        PatchCase{"add_item", R"({"foo":["bar","baz"]})",
                  R"([{"op":"add","path":"/foo/1","value":"qux"}])",
                  R"({"foo":["bar","qux","baz"]})"},
        PatchCase{"remove_member", R"({"baz":"qux","foo":"bar"})",
                  R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"},
        PatchCase{"remove_item", R"({"foo":["bar","qux","baz"]})",
                  R"([{"op":"remove","path":"/foo/1"}])", R"({"foo":["bar","baz"]})"},
        PatchCase{"replace", R"({"baz":"qux"})",
                  R"([{"op":"replace","path":"/baz","value":"boo"}])", R"({"baz":"boo"})"},
        PatchCase{"move_member", R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{}})",
                  R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
                  R"({"foo":{"bar":"baz"},"qux":{"thud":"fred"}})"},
        PatchCase{"move_item", R"({"foo":["all","grass","cows","eat"]})",
                  R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])",
                  R"({"foo":["all","cows","eat","grass"]})"},
        PatchCase{
            "test_good", R"({"baz":"qux","foo":["a",2,"c"]})",
            R"([{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}])",
            R"({"baz":"qux","foo":["a",2,"c"]})"},
        PatchCase{
            "test_bad", R"({"baz":"qux"})",
            R"([{"op":"add","path":"/x","value":1},{"op":"test","path":"/baz","value":"bar"}])",
            "!JSON patch operation 1: the test of `/baz` failed"},
        PatchCase{"append", R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["a"]}])",
                  R"({"foo":["bar",["a"]]})"},
        PatchCase{"escapes", R"({"/":9,"~1":10})",
                  R"([{"op":"test","path":"/~01","value":10},)"
                  R"({"op":"replace","path":"/~1","value":1}])",
                  R"({"/":1,"~1":10})"},
        PatchCase{"missing_parent", R"({"q":{}})", R"([{"op":"add","path":"/a/b","value":1}])",
                  "!there is nothing at `/a/b`"},
        PatchCase{"replace_missing", "{}", R"([{"op":"replace","path":"/a","value":1}])",
                  "!there is nothing at"},
        PatchCase{"out_of_range", R"({"a":[1]})", R"([{"op":"add","path":"/a/2","value":1}])",
                  "!there is nothing at"},
        PatchCase{"leading_zero", R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/01"}])",
                  "!there is nothing at"},
        PatchCase{"into_itself", R"({"a":{}})", R"([{"op":"move","from":"/a","path":"/a/b"}])",
                  "!into itself"},
        PatchCase{"no_op", "{}", R"([{"op":"spam","path":"/a"}])", "!`spam` is not an operation"},
        PatchCase{"no_pointer", "{}", R"([{"op":"add","path":"a","value":1}])",
                  "!`a` is not a JSON pointer"},
        PatchCase{"no_value", "{}", R"([{"op":"add","path":"/a"}])", "!`value` is missing"},
        PatchCase{"not_a_list", "{}", R"({"op":"add"})", "!must be a list"}),
    name_of_case);

TEST(JsonPatchTest, CopiesCannotGrowADocumentWithoutBound) {
  Json object = json(R"({"a":")" + std::string(1000, 'x') + R"("})");
  JsonArray operations;
  for (int i = 0; i < 40; ++i)
    operations.push_back({{"op", "copy"}, {"from", ""}, {"path", "/" + std::to_string(i)}});
  const auto result = apply_json_patch(object, operations);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().to_string(), HasSubstr("more than 3 MiB"));
}

class MergePatchTest : public testing::TestWithParam<PatchCase> {};
TEST_P(MergePatchTest, Gives) {
  Json object = json(GetParam().before);
  apply_merge_patch(object, json(GetParam().patch));
  EXPECT_EQ(canonical_json(object), canonical_json(json(GetParam().after)));
}
// RFC 7386, appendix A.
INSTANTIATE_TEST_SUITE_P(
    Rfc7386, MergePatchTest,
    testing::Values(PatchCase{"a1", R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
                    PatchCase{"a2", R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
                    PatchCase{"a3", R"({"a":"b"})", R"({"a":null})", "{}"},
                    PatchCase{"a4", R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
                    PatchCase{"a5", R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
                    PatchCase{"a6", R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})",
                              R"({"a":{"b":"d"}})"},
                    PatchCase{"a7", R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
                    PatchCase{"a8", R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
                    PatchCase{"a9", R"({"a":"foo"})", "null", "null"},
                    PatchCase{"a10", R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
                    PatchCase{"a11", R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
                    PatchCase{"a12", "{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"}),
    name_of_case);

class StrategicTest : public testing::TestWithParam<PatchCase> {};
TEST_P(StrategicTest, Gives) {
  static const auto kRegistry = Registry::built_in();
  Json object = json(GetParam().before);
  const auto result = apply_strategic_merge_patch(*kRegistry->find_kind("v1", "Pod"), object,
                                                  json(GetParam().patch));
  expect_outcome(GetParam(), result, object);
}
INSTANTIATE_TEST_SUITE_P(
    Pod, StrategicTest,
    testing::Values(
        PatchCase{"merges_by_name",
                  R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b","image":"2"}]}})",
                  R"({"spec":{"containers":[{"name":"b","image":"3"}]}})",
                  R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b","image":"3"}]}})"},
        PatchCase{"adds_before_what_it_does_not_name", R"({"spec":{"containers":[{"name":"a"}]}})",
                  R"({"spec":{"containers":[{"name":"b","image":"3","tty":null}]}})",
                  R"({"spec":{"containers":[{"name":"b","image":"3"},{"name":"a"}]}})"},
        PatchCase{"deletes_an_item", R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
                  R"({"spec":{"containers":[{"name":"a","$patch":"delete"}]}})",
                  R"({"spec":{"containers":[{"name":"b"}]}})"},
        PatchCase{"replaces_a_list", R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
                  R"({"spec":{"containers":[{"$patch":"replace"},{"name":"c"}]}})",
                  R"({"spec":{"containers":[{"name":"c"}]}})"},
        PatchCase{"replaces_a_map", R"({"spec":{"nodeSelector":{"a":"1"}}})",
                  R"({"spec":{"nodeSelector":{"$patch":"replace","b":"2"}}})",
                  R"({"spec":{"nodeSelector":{"b":"2"}}})"},
        PatchCase{"atomic_lists_are_replaced",
                  R"({"spec":{"containers":[{"name":"a","command":["x","y"]}]}})",
                  R"({"spec":{"containers":[{"name":"a","command":["z"]}]}})",
                  R"({"spec":{"containers":[{"name":"a","command":["z"]}]}})"},
        PatchCase{"null_removes", R"({"metadata":{"labels":{"a":"1","b":"2"}}})",
                  R"({"metadata":{"labels":{"a":null}}})", R"({"metadata":{"labels":{"b":"2"}}})"},
        PatchCase{
            "set_element_order",
            R"({"spec":{"containers":[{"name":"a"},{"name":"server"},{"name":"b"}]}})",
            R"({"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"c"},{"name":"a"}],)"
            R"("containers":[{"name":"c"}]}})",
            R"({"spec":{"containers":[{"name":"server"},{"name":"b"},{"name":"c"},{"name":"a"}]}})"},
        PatchCase{"primitive_lists_are_merged", R"({"metadata":{"finalizers":["a","b"]}})",
                  R"({"metadata":{"finalizers":["c"]}})",
                  R"({"metadata":{"finalizers":["c","a","b"]}})"},
        PatchCase{"delete_from_primitive_list", R"({"metadata":{"finalizers":["a","b"]}})",
                  R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["a"]}})",
                  R"({"metadata":{"finalizers":["b"]}})"},
        PatchCase{
            "retain_keys", R"({"spec":{"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}})",
            R"({"spec":{"volumes":[{"name":"v","$retainKeys":["name","emptyDir"],"emptyDir":{}}]}})",
            R"({"spec":{"volumes":[{"name":"v","emptyDir":{}}]}})"},
        PatchCase{"conditions_by_type",
                  R"({"status":{"conditions":[{"type":"Ready","status":"False"}]}})",
                  R"({"status":{"conditions":[{"type":"Ready","status":"True"}]}})",
                  R"({"status":{"conditions":[{"type":"Ready","status":"True"}]}})"},
        PatchCase{"no_merge_key", R"({"spec":{"containers":[{"name":"a"}]}})",
                  R"({"spec":{"containers":[{"image":"x"}]}})",
                  "!does not have its merge key `name`"},
        PatchCase{"unknown_directive", R"({"spec":{}})", R"({"spec":{"$patch":"merge"}})",
                  "!`$patch` may be replace or delete"},
        PatchCase{"retain_keys_must_name_all", R"({"spec":{"volumes":[{"name":"v"}]}})",
                  R"({"spec":{"volumes":[{"name":"v","$retainKeys":["name"],"emptyDir":{}}]}})",
                  "!does not name `emptyDir`"},
        PatchCase{"not_an_object", "{}", "[]", "!must be an object"}),
    name_of_case);

rc::Gen<Json> small_json(int depth) {
  auto leaf = rc::gen::element<Json>(Json(1), Json("x"), Json(true), Json("y"));
  if (depth == 0) return leaf;
  auto object = rc::gen::map(rc::gen::container<std::vector<std::pair<int, int>>>(
                                 rc::gen::pair(rc::gen::inRange(0, 4), rc::gen::inRange(0, 3))),
                             [depth](const std::vector<std::pair<int, int>>& members) {
                               static constexpr const char* kKeys[] = {"a", "b", "c", "d"};
                               JsonObject result;
                               for (const auto& [key, kind] : members)
                                 result[kKeys[key]] =
                                     kind == 0   ? Json(key)
                                     : kind == 1 ? Json(JsonArray{key, depth})
                                                 : Json(JsonObject{{kKeys[3 - key], depth}});
                               return Json(result);
                             });
  return rc::gen::oneOf(object, object, leaf);
}

RC_GTEST_PROP(MergePatchProperty, TheDifferenceOfTwoDocumentsMakesOneTheOther, ()) {
  Json from = *small_json(2);
  const Json to = *small_json(2);
  const Json patch = merge_patch_between(from, to);
  apply_merge_patch(from, patch);
  RC_ASSERT(canonical_json(from) == canonical_json(to));
}

RC_GTEST_PROP(MergePatchProperty, ApplyingTwiceIsApplyingOnce, ()) {
  Json once = *small_json(2);
  const Json patch = *small_json(2);
  apply_merge_patch(once, patch);
  Json twice = once;
  apply_merge_patch(twice, patch);
  RC_ASSERT(canonical_json(once) == canonical_json(twice));
}

RC_GTEST_PROP(StrategicProperty, WithoutListsItIsAMergePatch, ()) {
  static const auto kRegistry = Registry::built_in();
  const auto labels = rc::gen::container<std::vector<std::pair<std::string, std::string>>>(
      rc::gen::pair(rc::gen::element<std::string>("a", "b", "c"),
                    rc::gen::element<std::string>("1", "2", "null")));
  const auto to_object = [](const std::vector<std::pair<std::string, std::string>>& members) {
    JsonObject object;
    for (const auto& [key, value] : members) object[key] = value == "null" ? Json() : Json(value);
    return object;
  };
  JsonObject before = to_object(*labels);
  std::vector<std::string> nulls;
  for (const auto& each : before)
    if (each.value().is_null()) nulls.emplace_back(each.key());
  for (const auto& key : nulls) before.erase(key);
  Json strategic = {{"metadata", {{"labels", before}}}};
  Json merged = strategic;
  const Json patch = {{"metadata", {{"labels", to_object(*labels)}}}};
  RC_ASSERT(apply_strategic_merge_patch(*kRegistry->find_kind("v1", "Pod"), strategic, patch)
                .has_value());
  apply_merge_patch(merged, patch);
  RC_ASSERT(canonical_json(strategic) == canonical_json(merged));
}

}  // namespace
}  // namespace berth::objects
