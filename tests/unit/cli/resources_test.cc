#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/resources/kinds.h"
#include "cli/resources/manifests.h"
#include "cli/resources/three_way.h"
#include "objects/json_text.h"

namespace berth::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const objects::Registry& registry() {
  static const auto kRegistry = objects::Registry::built_in();
  return *kRegistry;
}

Json json(std::string_view text) {
  auto parsed = objects::parse_json(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? std::move(parsed->value) : Json(nullptr);
}

std::vector<std::string> subjects(const std::vector<std::string>& words) {
  const auto parsed = parse_subjects(registry(), words);
  std::vector<std::string> texts;
  if (!parsed) return {parsed.error().to_string()};
  for (const Subject& subject : *parsed) {
    texts.push_back(kind_name(*subject.kind) + ":" + subject.name);
  }
  return texts;
}

TEST(Subjects, AreReadAsKubectlDoes) {
  EXPECT_THAT(subjects({"pods"}), ElementsAre("pod:"));
  EXPECT_THAT(subjects({"po", "a", "b"}), ElementsAre("pod:a", "pod:b"));
  EXPECT_THAT(subjects({"deploy/web", "job/train"}),
              ElementsAre("deployment.apps:web", "job.batch:train"));
  EXPECT_THAT(subjects({"svc,cm"}), ElementsAre("service:", "configmap:"));
  EXPECT_THAT(subjects({"all"}), testing::Contains("deployment.apps:"));
}

TEST(Subjects, UnknownOnesAreAnsweredWithWhatWasMeant) {
  EXPECT_THAT(subjects({"podz"}), ElementsAre("unknown kind `podz`; did you mean `pods`?"));
  EXPECT_THAT(subjects({"pod/a", "b"}),
              ElementsAre("`b` is not KIND/NAME; write either `pod web-0 web-1` or `pod/web-0 "
                          "pod/web-1`"));
  EXPECT_THAT(subjects({"pod/"}), ElementsAre(HasSubstr("is not KIND/NAME")));
}

TEST(Manifests, AllErrorsAreFoundWithTheirPlaces) {
  Manifests manifests;
  load_text(registry(), R"(apiVersion: v1
kind: Pod
meta:
  name: a
spec:
  containers:
  - image: host
---
apiVersion: batch/v1
kind: Jobb
metadata: {name: b}
)",
            "two.yaml", manifests);
  std::vector<std::string> texts;
  for (const Error& error : manifests.errors) texts.push_back(error.to_string());
  EXPECT_THAT(texts, testing::Contains(testing::AllOf(HasSubstr("two.yaml:3:1"),
                                                      HasSubstr("did you mean `metadata`"))));
  EXPECT_THAT(texts, testing::Contains(HasSubstr("two.yaml:7")));
  EXPECT_THAT(texts, testing::Contains(HasSubstr("Jobb")));
}

TEST(Manifests, ListsAreTakenApart) {
  Manifests manifests;
  load_text(registry(),
            R"({"apiVersion":"v1","kind":"List","items":[
      {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}},
      {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}]})",
            "-", manifests);
  EXPECT_THAT(manifests.errors, IsEmpty());
  EXPECT_THAT(manifests.items, SizeIs(2));
}

TEST(Manifests, ErrorsInListsHaveTheirPlaces) {
  Manifests manifests;
  load_text(registry(), R"(apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
- apiVersion: v1
  kind: ConfigMap
  meta:
    name: b
- apiVersion: v1
  kind: List
  items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: c}
    data: {app.x: a, app.x: b}
)",
            "list.yaml", manifests);
  std::vector<std::string> errors;
  for (const Error& error : manifests.errors) errors.push_back(error.to_string());
  EXPECT_THAT(errors, ElementsAre("list.yaml:7:3: meta: unknown field `meta`; did you mean "
                                  "`metadata`?",
                                  "list.yaml:15:22: data[app.x]: the field is set twice: the "
                                  "last one counts; remove one of them"));
}

TEST(Manifests, WhatServersDoNotKeepIsSentElsewhere) {
  Manifests manifests;
  load_text(registry(), "apiVersion: config.berth.dev/v1alpha1\nkind: BerthConfiguration\n",
            "c.yaml", manifests);
  ASSERT_EQ(manifests.errors.size(), 1u);
  EXPECT_EQ(
      manifests.errors[0].to_string(),
      "c.yaml:2:1: kind: servers keep no BerthConfiguration; give it to `berth serve --config`");
}

TEST(Manifests, MissingPlacesAreErrors) {
  EXPECT_EQ(load_manifests(registry(), {"/nowhere.yaml"}).errors.at(0).what,
            "no such file or folder");
  EXPECT_THAT(load_manifests(registry(), {"https://x/y.yaml"}).errors.at(0).fix, HasSubstr("curl"));
}

TEST(Manifests, TheNamespaceMustNotContradict) {
  Manifest pod{"f", registry().find_alias("pod"),
               json(R"({"metadata":{"name":"a","namespace":"x"}})")};
  EXPECT_TRUE(set_namespace(pod, "x", "default"));
  EXPECT_FALSE(set_namespace(pod, "y", "default"));
  Manifest plain{"f", registry().find_alias("pod"), json(R"({"metadata":{"name":"a"}})")};
  EXPECT_TRUE(set_namespace(plain, "", "team"));
  EXPECT_EQ(objects::namespace_of(plain.object), "team");
}

struct Merge {
  std::string what;
  std::string last, live, wanted, result;
};

TEST(ThreeWay, KeepsWhatOthersSetAndDropsWhatWasAbandoned) {
  const objects::Kind& kind = *registry().find_alias("deployment");
  for (
      const Merge& c : {
          Merge{"others' fields stay", R"({"spec":{"paused":true}})",
                R"({"spec":{"paused":true,"replicas":5}})", R"({"spec":{"paused":true}})",
                R"({"spec":{"paused":true,"replicas":5}})"},
          Merge{"abandoned fields go", R"({"spec":{"paused":true,"replicas":2}})",
                R"({"spec":{"paused":true,"replicas":2}})", R"({"spec":{"replicas":2}})",
                R"({"spec":{"replicas":2}})"},
          Merge{"labels are a map", R"({"metadata":{"labels":{"a":"1","b":"2"}}})",
                R"({"metadata":{"labels":{"a":"1","b":"2","c":"3"}}})",
                R"({"metadata":{"labels":{"a":"9"}}})",
                R"({"metadata":{"labels":{"a":"9","c":"3"}}})"},
          Merge{
              "containers are merged by name, abandoned ones go",
              R"({"spec":{"template":{"spec":{"containers":[{"name":"a","image":"1"},{"name":"b"}]}}}})",
              R"({"spec":{"template":{"spec":{"containers":[{"name":"a","image":"1"},{"name":"b"},{"name":"sidecar"}]}}}})",
              R"({"spec":{"template":{"spec":{"containers":[{"name":"a","image":"2"}]}}}})",
              R"({"spec":{"template":{"spec":{"containers":[{"name":"a","image":"2"},{"name":"sidecar"}]}}}})"},
          Merge{"nothing was applied before", "null", R"({"spec":{"replicas":1}})",
                R"({"spec":{"paused":true}})", R"({"spec":{"replicas":1,"paused":true}})"},
      }) {
    const auto merged = three_way(kind, json(c.last), json(c.live), json(c.wanted));
    ASSERT_TRUE(merged) << c.what;
    EXPECT_EQ(objects::canonical_json(*merged), objects::canonical_json(json(c.result))) << c.what;
  }
}

TEST(ThreeWay, RemembersWhatWasApplied) {
  Json wanted = json(R"({"kind":"Pod","metadata":{"name":"a"}})");
  set_last_applied(wanted);
  const Json first = last_applied(wanted);
  EXPECT_EQ(objects::find_string(first, {"metadata", "name"}), "a");
  set_last_applied(wanted);
  EXPECT_EQ(last_applied(wanted), first) << "it does not contain itself";
  EXPECT_TRUE(last_applied(json("{}")).is_null());
}

}  // namespace
}  // namespace berth::cli
