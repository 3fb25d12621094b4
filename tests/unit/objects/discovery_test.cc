#include "objects/discovery.h"

#include <set>

#include <gtest/gtest.h>

#include "objects/json_text.h"
#include "objects/openapi.h"
#include "objects/protobuf/openapi_v2.h"

namespace berth::objects {
namespace {

class DiscoveryTest : public testing::Test {
 protected:
  static const Json* named(const JsonArray& list, std::string_view key, std::string_view value) {
    for (const Json& item : list)
      if (find_string(item, {key}) == value) return &item;
    return nullptr;
  }
  std::unique_ptr<Registry> registry_ = Registry::built_in();
};

TEST_F(DiscoveryTest, ListsGroupsAndVersions) {
  EXPECT_EQ(canonical_json(api_versions("127.0.0.1:1")),
            R"({"kind":"APIVersions","serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0",)"
            R"("serverAddress":"127.0.0.1:1"}],"versions":["v1"]})");
  const Json groups = api_group_list(*registry_);
  const Json* apps = named(find_array(groups, {"groups"}), "name", "apps");
  ASSERT_NE(apps, nullptr);
  EXPECT_EQ(find_string(*apps, {"preferredVersion", "groupVersion"}), "apps/v1");
  EXPECT_EQ(named(find_array(groups, {"groups"}), "name", ""), nullptr);
  // Groups with only the bodies of requests are not served.
  EXPECT_EQ(named(find_array(groups, {"groups"}), "name", "autoscaling"), nullptr);
  EXPECT_EQ(find_string(*api_group(*registry_, "batch"), {"kind"}), "APIGroup");
  EXPECT_FALSE(api_group(*registry_, "nothing"));
}

TEST_F(DiscoveryTest, ListsResourcesWithTheirSubresources) {
  const auto core = api_resource_list(*registry_, "", "v1");
  ASSERT_TRUE(core);
  EXPECT_EQ(find_string(*core, {"groupVersion"}), "v1");
  const JsonArray& resources = find_array(*core, {"resources"});
  const Json* pods = named(resources, "name", "pods");
  ASSERT_NE(pods, nullptr);
  EXPECT_TRUE(find_bool(*pods, {"namespaced"}));
  EXPECT_EQ(find_array(*pods, {"shortNames"}).front(), Json("po"));
  const Json* eviction = named(resources, "name", "pods/eviction");
  ASSERT_NE(eviction, nullptr);
  EXPECT_EQ(find_string(*eviction, {"group"}), "policy");
  EXPECT_EQ(find_string(*eviction, {"kind"}), "Eviction");
  EXPECT_FALSE(api_resource_list(*registry_, "apps", "v2"));
}

TEST_F(DiscoveryTest, AggregatesAllGroupsInOneAnswer) {
  const Json core = api_group_discovery_list(*registry_, true);
  ASSERT_EQ(find_array(core, {"items"}).size(), 1u);
  EXPECT_EQ(find_string(core, {"apiVersion"}), "apidiscovery.k8s.io/v2");
  const Json all = api_group_discovery_list(*registry_, false);
  std::set<std::string> names;
  for (const Json& item : find_array(all, {"items"}))
    names.emplace(find_string(item, {"metadata", "name"}));
  EXPECT_TRUE(names.contains("apps"));
  EXPECT_TRUE(names.contains("berth.dev"));
  EXPECT_FALSE(names.contains("config.berth.dev"));
  const Json& version = find_array(core, {"items"})[0].at("versions").at(0);
  const Json* pods = named(find_array(version, {"resources"}), "resource", "pods");
  EXPECT_EQ(find_string(*pods, {"scope"}), "Namespaced");
  EXPECT_EQ(find_string(*pods, {"responseKind", "kind"}), "Pod");
  EXPECT_NE(named(find_array(*pods, {"subresources"}), "subresource", "status"), nullptr);
}

/// Every `$ref` in a document, by its last part.
void collect_references(const Json& value, std::set<std::string>& out) {
  if (const JsonObject* object = value.if_object())
    for (const auto& [key, inner] : *object) {
      if (key == "$ref") {
        const std::string_view text = inner.as_string();
        out.emplace(text.substr(text.rfind('/') + 1));
      } else {
        collect_references(inner, out);
      }
    }
  if (const JsonArray* array = value.if_array())
    for (const Json& inner : *array) collect_references(inner, out);
}

TEST_F(DiscoveryTest, OpenApiV3IsClosedAndTellsKubectlWhatPatchTakes) {
  const auto apps = openapi_v3(*registry_, "apps", "v1");
  ASSERT_TRUE(apps);
  const JsonObject& schemas = find_object(*apps, {"components", "schemas"});
  std::set<std::string> references;
  collect_references(*apps, references);
  for (const std::string& name : references) EXPECT_TRUE(schemas.contains(name)) << name;

  const Json& patch =
      apps->at("paths").at("/apis/apps/v1/namespaces/{namespace}/deployments/{name}").at("patch");
  EXPECT_EQ(canonical_json(patch.at("x-kubernetes-group-version-kind")),
            R"({"group":"apps","kind":"Deployment","version":"v1"})");
  for (const char* name : {"fieldValidation", "dryRun"})
    EXPECT_NE(named(find_array(patch, {"parameters"}), "name", name), nullptr) << name;

  const Json& deployment = schemas.at("io.k8s.api.apps.v1.Deployment");
  EXPECT_EQ(canonical_json(deployment.at("x-kubernetes-group-version-kind")),
            R"([{"group":"apps","kind":"Deployment","version":"v1"}])");
  const Json& containers =
      schemas.at("io.k8s.api.core.v1.PodSpec").at("properties").at("containers");
  EXPECT_EQ(find_string(containers, {"x-kubernetes-patch-merge-key"}), "name");
  EXPECT_EQ(find_string(containers, {"x-kubernetes-patch-strategy"}), "merge");
  EXPECT_TRUE(apps->at("paths").as_object().contains("/apis/apps/v1/deployments"));
}

TEST_F(DiscoveryTest, EveryDocumentOfTheIndexExists) {
  const Json index = openapi_v3_index(*registry_);
  for (const auto& [path, entry] : find_object(index, {"paths"})) {
    const std::string text(path);
    const bool core = text == "api/v1";
    const size_t slash = text.rfind('/');
    const std::string group = core ? "" : text.substr(5, slash - 5);
    EXPECT_TRUE(openapi_v3(*registry_, group, text.substr(slash + 1))) << text;
    EXPECT_TRUE(find_string(entry, {"serverRelativeURL"}).starts_with("/openapi/v3/" + text));
  }
  const std::string before = canonical_json(index);
  EXPECT_EQ(canonical_json(openapi_v3_index(*Registry::built_in())), before);
}

TEST_F(DiscoveryTest, OpenApiV2IsClosed) {
  const Json document = openapi_v2(*registry_);
  std::set<std::string> references;
  collect_references(document, references);
  for (const std::string& name : references)
    EXPECT_TRUE(find_object(document, {"definitions"}).contains(name)) << name;
}

TEST_F(DiscoveryTest, OpenApiV2AsProtobuf) {
  const Json document = JsonObject{
      {"swagger", "2.0"},
      {"info", JsonObject{{"title", "K"}, {"version", "v1"}}},
      {"definitions",
       JsonObject{{"a", JsonObject{{"type", "object"}, {"x-b", JsonArray{1}}, {"minimum", 1}}}}}};
  const std::string bytes = openapi_v2_protobuf(document);
  // swagger = 1, info = 2 {title = 1, version = 2}, paths = 8, definitions = 9
  // {additional_properties = 1 {name = 1, value = 2 {minimum = 9, type = 22 {value = 1},
  // vendor_extension = 31 {name = 1, value = 2 {yaml = 2}}}}}
  const std::string expected(
      "\x0a\x03"
      "2.0"
      "\x12\x07\x0a\x01K\x12\x02v1"
      "\x42\x00"
      "\x4a\x2a\x0a\x28\x0a\x01"
      "a"
      "\x12\x23"
      "\x49\x00\x00\x00\x00\x00\x00\xf0\x3f"
      "\xb2\x01\x08\x0a\x06object"
      "\xfa\x01\x0c\x0a\x03x-b\x12\x05\x12\x03[1]",
      60);
  EXPECT_EQ(bytes, expected);
}

TEST_F(DiscoveryTest, OpenApiV2AsProtobufIsWhole) {
  const std::string bytes = openapi_v2_protobuf(openapi_v2(*registry_));
  for (const std::string_view part :
       {"/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "fieldValidation",
        "application/apply-patch+yaml", "io.k8s.api.core.v1.Pod", "x-kubernetes-patch-merge-key"})
    EXPECT_TRUE(bytes.contains(part)) << part;
}

}  // namespace
}  // namespace berth::objects
