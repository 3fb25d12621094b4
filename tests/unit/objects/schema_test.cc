#include "objects/schema.h"

#include <gtest/gtest.h>

namespace berth::objects {
namespace {

class SchemaTest : public testing::Test {
 protected:
  std::unique_ptr<Registry> registry_ = Registry::built_in();
};

TEST_F(SchemaTest, FindsKindsByResourceAndByObject) {
  const Kind* deployment = registry_->find("apps", "v1", "deployments");
  ASSERT_NE(deployment, nullptr);
  EXPECT_EQ(deployment->kind, "Deployment");
  EXPECT_EQ(deployment->api_version(), "apps/v1");
  EXPECT_EQ(registry_->find_kind("apps/v1", "Deployment"), deployment);
  EXPECT_EQ(registry_->find_kind("v1", "Pod")->plural, "pods");
  EXPECT_EQ(registry_->find_kind("apps/v1", "Pod"), nullptr);
  EXPECT_EQ(registry_->find("", "v1", "nothing"), nullptr);
}

TEST_F(SchemaTest, FindsKindsByWhatPeopleType) {
  for (const char* word : {"po", "pod", "pods", "Pod", "PODS", "pods."})
    EXPECT_EQ(registry_->find_alias(word), registry_->find("", "v1", "pods")) << word;
  EXPECT_EQ(registry_->find_alias("deploy.apps"), registry_->find_kind("apps/v1", "Deployment"));
  EXPECT_EQ(registry_->find_alias("pods.metrics.k8s.io")->kind, "PodMetrics");
  EXPECT_EQ(registry_->find_alias("deploy.batch"), nullptr);
  EXPECT_EQ(registry_->find_alias(""), nullptr);
}

TEST_F(SchemaTest, ARowHasWhatThePublishedDefinitionsSay) {
  const Struct* pod_spec = registry_->find_struct("core.v1.PodSpec");
  ASSERT_NE(pod_spec, nullptr);
  const Field* containers = pod_spec->find("containers");
  ASSERT_NE(containers, nullptr);
  EXPECT_EQ(containers->type, Type::kList);
  EXPECT_EQ(containers->number, 2);
  EXPECT_TRUE(containers->required);
  EXPECT_TRUE(containers->patch_merge);
  EXPECT_EQ(containers->merge_key, "name");
  EXPECT_EQ(containers->list_type, ListType::kMap);
  EXPECT_EQ(containers->list_keys, std::vector<std::string_view>{"name"});
  EXPECT_EQ(containers->item->object, registry_->find_struct("core.v1.Container"));

  const Field* host_path = registry_->find_struct("core.v1.Volume")->find("hostPath");
  EXPECT_EQ(host_path->outer_number, 2);  // Volume.volumeSource.hostPath
  EXPECT_EQ(host_path->number, 1);
  EXPECT_EQ(pod_spec->find("container"), nullptr);
}

TEST_F(SchemaTest, EveryKindServedHasNameColumnsAndVerbs) {
  for (const Kind* kind : registry_->kinds()) {
    ASSERT_NE(kind->schema, nullptr) << kind->kind;
    EXPECT_NE(kind->schema->find("kind"), nullptr) << kind->kind;
    if (kind->plural.empty()) continue;
    EXPECT_FALSE(kind->columns.empty()) << kind->kind;
    EXPECT_FALSE(kind->verbs.empty()) << kind->kind;
  }
}

TEST_F(SchemaTest, UserDefinedKindsAreAddedAtRunTime) {
  const auto added = registry_->add(R"(
struct example.v1.Widget
  apiVersion string
  kind string
  metadata meta.v1.ObjectMeta
  spec example.v1.WidgetSpec
struct example.v1.WidgetSpec preserveUnknown
  grid [][]int64
  size int32 min=1 max=3 default=2
kind Widget example.com/v1 widgets widget example.v1.Widget cluster
  column "Two Words" string .spec.size wide how big it is
)");
  ASSERT_TRUE(added) << added.error().to_string();
  const Kind* widget = registry_->find("example.com", "v1", "widgets");
  ASSERT_NE(widget, nullptr);
  EXPECT_FALSE(widget->namespaced);
  EXPECT_EQ(widget->columns[0].name, "Two Words");
  EXPECT_EQ(widget->columns[0].priority, 1);
  EXPECT_EQ(widget->columns[0].description, "how big it is");
  const Struct* spec = widget->schema->find("spec")->object;
  EXPECT_TRUE(spec->preserve_unknown);
  EXPECT_EQ(spec->find("grid")->item->item->type, Type::kInt64);
  EXPECT_EQ(*spec->find("size")->default_value, Json(2));
}

TEST_F(SchemaTest, AnUnreadableTextChangesNothing) {
  const size_t before = registry_->kinds().size();
  for (const char* text :
       {"struct a\n  x nosuchtype", "struct a\n  x string @z", "what", "  x string",
        "struct a\n  x string default={", "struct core.v1.Pod\n  x string",
        "kind Pod v1 pods pod core.v1.Pod", "struct a\n  x string format=none"}) {
    EXPECT_FALSE(registry_->add(text)) << text;
    EXPECT_EQ(registry_->find_struct("a"), nullptr);
    EXPECT_EQ(registry_->kinds().size(), before);
  }
}

}  // namespace
}  // namespace berth::objects
