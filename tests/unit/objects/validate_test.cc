#include "objects/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "objects/json_text.h"
#include "objects/yaml.h"

namespace berth::objects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PrepareTest : public testing::Test {
 protected:
  const Kind& kind(std::string_view api_version, std::string_view name) {
    return *registry_->find_kind(api_version, name);
  }
  static Json yaml(std::string_view text) { return parse_yaml(text)->front().value; }
  static std::vector<std::string> texts(const Issues& issues) {
    std::vector<std::string> lines;
    for (const Issue& issue : issues) lines.push_back(issue.to_string());
    return lines;
  }
  /// What is wrong with changing `before` to it.
  std::vector<std::string> changes(std::string_view before, std::string_view after) {
    const Json old_object = yaml(before), new_object = yaml(after);
    return texts(check_update(kind(api_version_of(old_object), kind_of(old_object)), old_object,
                              new_object));
  }

  std::unique_ptr<Registry> registry_ = Registry::built_in();
  const Json unknown_ = yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, dta: {x: z}}");
};

TEST_F(PrepareTest, TheSelectorOfAJobIsTheServersToMake) {
  const auto issues = [&](std::string_view spec) {
    return texts(
        prepare(kind("batch/v1", "Job"),
                yaml("{apiVersion: batch/v1, kind: Job, metadata: {name: a, uid: u1}, spec: {" +
                     std::string(spec) +
                     "template: {metadata: {labels: {x: z}}, spec: {restartPolicy: Never, "
                     "containers: [{name: a, image: host}]}}}}"),
                FieldValidation::kStrict)
            .invalid);
  };
  EXPECT_THAT(issues(""), IsEmpty());
  EXPECT_THAT(issues("manualSelector: true, selector: {matchLabels: {x: z}}, "), IsEmpty());
  EXPECT_THAT(issues("selector: {matchLabels: {x: z}}, "),
              ElementsAre(HasSubstr("spec.selector: is made by the server")));
  EXPECT_THAT(issues("manualSelector: true, selector: {matchLabels: {x: other}}, "),
              ElementsAre(HasSubstr("do not match the selector")));
}

TEST_F(PrepareTest, StrictRefusesUnknownFields) {
  const Prepared prepared = prepare(kind("v1", "ConfigMap"), unknown_, FieldValidation::kStrict);
  EXPECT_FALSE(prepared.ok());
  EXPECT_THAT(texts(prepared.undecodable),
              ElementsAre("dta: unknown field `dta`; did you mean `data`?"));
  EXPECT_THAT(prepared.warnings, IsEmpty());
}

TEST_F(PrepareTest, WarnPrunesThemAndSaysSo) {
  const Prepared prepared = prepare(kind("v1", "ConfigMap"), unknown_, FieldValidation::kWarn);
  EXPECT_TRUE(prepared.ok());
  EXPECT_THAT(prepared.warnings, ElementsAre("unknown field \"dta\"; did you mean `data`?"));
  EXPECT_EQ(prepared.object.as_object().if_contains("dta"), nullptr);
}

TEST_F(PrepareTest, IgnorePrunesThemInSilence) {
  const Prepared prepared = prepare(kind("v1", "ConfigMap"), unknown_, FieldValidation::kIgnore);
  EXPECT_TRUE(prepared.ok());
  EXPECT_THAT(prepared.warnings, IsEmpty());
}

TEST_F(PrepareTest, FieldsThatAreSetTwiceAreRefusedOrWarnedOf) {
  const auto parsed =
      parse_json(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","name":"b"}})");
  ASSERT_TRUE(parsed);
  const auto in_mode = [&](FieldValidation mode) {
    return prepare(kind("v1", "ConfigMap"), parsed->value, mode, parsed->duplicates);
  };
  EXPECT_FALSE(in_mode(FieldValidation::kStrict).ok());
  EXPECT_THAT(in_mode(FieldValidation::kWarn).warnings,
              ElementsAre("duplicate field \"metadata.name\""));
  EXPECT_EQ(name_of(in_mode(FieldValidation::kIgnore).object), "b");
}

TEST_F(PrepareTest, NoKnownFieldIsLostWhateverTheMode) {
  for (const char* text :
       {"{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {x: z}}, spec: {containers: "
        "[{name: a, image: b, args: [x], securityContext: {seccompProfile: {type: "
        "RuntimeDefault}}}], tolerations: [{operator: Exists}], topologySpreadConstraints: "
        "[{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}]}}",
        "{apiVersion: berth.dev/v1alpha1, kind: Queue, metadata: {name: a}, status: {ledger: "
        "{deep: [1, {x: null}]}}}"}) {
    const Json object = yaml(text);
    const Kind& k = kind(api_version_of(object), kind_of(object));
    const Prepared once = prepare(k, object, FieldValidation::kIgnore);
    ASSERT_TRUE(once.ok()) << texts(once.invalid).front();
    const Prepared again = prepare(k, once.object, FieldValidation::kStrict, {}, &once.object);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(canonical_json(again.object), canonical_json(once.object));
    const std::string original = canonical_json(object);
    for (const char* part : {"\"args\":[\"x\"]", "RuntimeDefault", "\"deep\":[1,{\"x\":null}]"})
      if (original.find(part) != std::string::npos) {
        EXPECT_THAT(canonical_json(once.object), HasSubstr(part));
      }
  }
}

TEST_F(PrepareTest, AWrongTypeIsNotDecodableAndSilencesWhatFollowsFromIt) {
  const Prepared prepared =
      prepare(kind("v1", "Pod"),
              yaml("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: 5}}"),
              FieldValidation::kIgnore);
  EXPECT_THAT(texts(prepared.undecodable),
              ElementsAre("spec.containers: must be a list, not 5; put it in brackets"));
  EXPECT_THAT(prepared.invalid, IsEmpty());
}

TEST_F(PrepareTest, GenerateNameStandsInForAName) {
  const auto with = [&](std::string_view metadata) {
    return prepare(
               kind("v1", "ConfigMap"),
               yaml("{apiVersion: v1, kind: ConfigMap, metadata: " + std::string(metadata) + "}"),
               FieldValidation::kStrict)
        .ok();
  };
  EXPECT_TRUE(with("{generateName: a-}"));
  EXPECT_FALSE(with("{}"));
}

TEST_F(PrepareTest, CausesHaveKubernetesNames) {
  EXPECT_EQ(cause_reason(Issue::Kind::kRequired), "FieldValueRequired");
  EXPECT_EQ(cause_reason(Issue::Kind::kNotSupported), "FieldValueNotSupported");
  EXPECT_FALSE(parse_field_validation("strict"));
  EXPECT_EQ(*parse_field_validation(""), FieldValidation::kWarn);
}

TEST_F(PrepareTest, ADocumentTooDeepIsRefused) {
  Json deep = 1;
  for (int i = 0; i < 150; ++i) deep = JsonObject{{"a", deep}};
  Json object = yaml("{apiVersion: berth.dev/v1alpha1, kind: Queue, metadata: {name: a}}");
  object.as_object()["status"] = deep;
  EXPECT_FALSE(prepare(kind("berth.dev/v1alpha1", "Queue"), object, FieldValidation::kIgnore).ok());
}

constexpr const char* kPod =
    "{apiVersion: v1, kind: Pod, metadata: {name: a, uid: u}, spec: {containers: [{name: a, image: "
    "b}], restartPolicy: Always, tolerations: [{key: x, operator: Exists}], schedulingGates: "
    "[{name: "
    "g}]}}";

TEST_F(PrepareTest, OfAPodOnlySomeFieldsMayChange) {
  EXPECT_THAT(changes(kPod, kPod), IsEmpty());
  EXPECT_THAT(
      changes(kPod,
              "{apiVersion: v1, kind: Pod, metadata: {name: a, uid: u}, spec: {containers: "
              "[{name: a, image: c}], restartPolicy: Always, tolerations: [{key: x, operator: "
              "Exists}, {key: z, operator: Exists}], activeDeadlineSeconds: 5}}"),
      IsEmpty());
  EXPECT_THAT(
      changes(kPod,
              "{apiVersion: v1, kind: Pod, metadata: {name: b, uid: u}, spec: {containers: "
              "[{name: a, image: b, command: [x]}], restartPolicy: Never, nodeName: n, "
              "schedulingGates: [{name: h}]}}"),
      testing::UnorderedElementsAre(
          HasSubstr("metadata.name: cannot be changed"), HasSubstr("spec.containers: of a pod"),
          HasSubstr("spec.restartPolicy: of a pod"), HasSubstr("spec.nodeName: cannot be set"),
          HasSubstr("spec.tolerations: of a pod"), HasSubstr("spec.schedulingGates: of a pod")));
}

TEST_F(PrepareTest, ImmutableFieldsOfOtherKinds) {
  EXPECT_THAT(
      changes("{apiVersion: apps/v1, kind: Deployment, spec: {selector: {matchLabels: {a: b}}}}",
              "{apiVersion: apps/v1, kind: Deployment, spec: {selector: {matchLabels: {a: c}}}}"),
      ElementsAre(HasSubstr("spec.selector: cannot be changed")));
  EXPECT_THAT(changes("{apiVersion: v1, kind: ConfigMap, immutable: true, data: {a: b}}",
                      "{apiVersion: v1, kind: ConfigMap, immutable: true, data: {a: c}}"),
              ElementsAre(HasSubstr("data: cannot be changed: the object is immutable")));
  EXPECT_THAT(changes("{apiVersion: v1, kind: Service, spec: {clusterIP: 10.0.0.1}}",
                      "{apiVersion: v1, kind: Service, spec: {clusterIP: 10.0.0.2}}"),
              ElementsAre(HasSubstr("spec.clusterIP: cannot be changed")));
  const char* job =
      "{apiVersion: batch/v1, kind: Job, spec: {completions: 2, template: {spec: {a: 1}}}}";
  EXPECT_THAT(changes(job,
                      "{apiVersion: batch/v1, kind: Job, spec: {completions: 3, parallelism: 3, "
                      "completionMode: Indexed, template: {spec: {a: 1}}}}"),
              IsEmpty());
  EXPECT_THAT(
      changes(job, "{apiVersion: batch/v1, kind: Job, spec: {completions: 3, template: {}}}"),
      ElementsAre(HasSubstr("spec.completions: cannot"), HasSubstr("spec.template: cannot")));
}

}  // namespace
}  // namespace berth::objects
