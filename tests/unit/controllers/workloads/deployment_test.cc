#include "controllers/workloads/deployment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/conditions.h"
#include "controllers/workloads/replica_set.h"
#include "controllers/workloads/rollout.h"
#include "tests/unit/controllers/world.h"

namespace berth::controllers {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class DeploymentTest : public testing::Test {
 protected:
  const Key key{Kind::kDeployment, "default", "web"};
  World world;

  void deployment(const std::string& spec) {
    world.add(Kind::kDeployment, R"({"metadata":{"name":"web"},"spec":{)" + spec +
                                     R"(,"selector":{"matchLabels":{"app":"web"}},"template":)" +
                                     pod_template("v1") + "}}");
  }
  static std::string pod_template(const std::string& image) {
    return R"({"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":")" +
           image + R"("}]}})";
  }
  void set_image(const std::string& image) {
    world.change(key, R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":")" +
                          image + R"("}]}}}})");
  }
  void settle() { world.settle_all({&kDeployment, &kReplicaSet}); }
  /// Starts what waits and ends what was told to stop, once.
  void play_kubelet() {
    for (const ObjectPtr& pod : world.pods()) {
      if (pod->deleting) {
        world.stop(pod);
      } else if (!is_ready(*pod)) {
        world.set_pod(pod, "Running", true);
      }
    }
  }
  int available() {
    int count = 0;
    for (const ObjectPtr& pod : world.active_pods()) count += is_ready(*pod) ? 1 : 0;
    return count;
  }
  void roll_out() {
    for (int i = 0; i < 20; ++i) {
      settle();
      play_kubelet();
    }
    settle();
  }
  int64_t status(std::string_view field) {
    return objects::find_int(world.json(key), {"status", field});
  }
  std::string reason(std::string_view type) {
    const Json* condition = find_condition(world.json(key), type);
    return condition == nullptr ? "" : std::string(objects::find_string(*condition, {"reason"}));
  }
  std::vector<std::string> images() {
    std::vector<std::string> found;
    for (const ObjectPtr& pod : world.active_pods()) {
      found.emplace_back(objects::find_string(
          objects::find_array(*pod->json, {"spec", "containers"})[0], {"image"}));
    }
    return found;
  }
  std::string revision() {
    return std::string(world.view.find(key)->annotation("deployment.kubernetes.io/revision"));
  }
};

TEST_F(DeploymentTest, MakesOneSetAndItsPods) {
  deployment(R"("replicas":3)");
  roll_out();
  ASSERT_THAT(world.view.list(Kind::kReplicaSet), SizeIs(1));
  EXPECT_THAT(world.active_pods(), SizeIs(3));
  EXPECT_FALSE(world.active_pods().at(0)->label("pod-template-hash").empty());
  EXPECT_EQ(status("replicas"), 3);
  EXPECT_EQ(status("updatedReplicas"), 3);
  EXPECT_EQ(status("availableReplicas"), 3);
  EXPECT_EQ(status("unavailableReplicas"), 0);
  EXPECT_EQ(status("observedGeneration"),
            objects::find_int(world.json(key), {"metadata", "generation"}));
  EXPECT_EQ(reason("Available"), "MinimumReplicasAvailable");
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
  EXPECT_EQ(revision(), "1");
}

struct Rolling {
  std::string strategy;
  int most;
  int least;
};

TEST_F(DeploymentTest, RollsWithinSurgeAndUnavailable) {
  for (const Rolling& limits : {Rolling{R"("maxSurge":1,"maxUnavailable":0)", 5, 4},
                                Rolling{R"("maxSurge":0,"maxUnavailable":2)", 4, 2},
                                Rolling{R"("maxSurge":"50%","maxUnavailable":"25%")", 6, 3}}) {
    world = World();
    deployment(R"("replicas":4,"strategy":{"type":"RollingUpdate","rollingUpdate":{)" +
               limits.strategy + "}}");
    roll_out();
    set_image("v2");
    int most = 0;
    int least = 100;
    for (int step = 0; step < 30; ++step) {
      settle();
      most = std::max(most, static_cast<int>(world.active_pods().size()));
      least = std::min(least, available());
      play_kubelet();
    }
    settle();
    EXPECT_LE(most, limits.most) << limits.strategy;
    EXPECT_GE(least, limits.least) << limits.strategy;
    EXPECT_THAT(images(), testing::Each("v2"));
    EXPECT_THAT(images(), SizeIs(4));
    EXPECT_EQ(revision(), "2");
    EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
  }
}

TEST_F(DeploymentTest, ABadTemplateDoesNotTakeTheGoodPods) {
  deployment(
      R"("replicas":4,"strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":1}},"progressDeadlineSeconds":60)");
  roll_out();
  set_image("broken");
  for (int i = 0; i < 10; ++i) {
    settle();
    for (const ObjectPtr& pod : world.pods()) {
      if (pod->deleting) world.stop(pod);
    }
  }
  EXPECT_EQ(available(), 3);
  EXPECT_EQ(reason("Progressing"), "ReplicaSetUpdated");
  world.now = world.now + Duration::seconds(61);
  settle();
  EXPECT_EQ(reason("Progressing"), "ProgressDeadlineExceeded");
}

TEST_F(DeploymentTest, RecreateWaitsUntilTheOldProcessesAreGone) {
  deployment(R"("replicas":2,"strategy":{"type":"Recreate"})");
  roll_out();
  set_image("v2");
  settle();
  EXPECT_THAT(images(), IsEmpty());
  EXPECT_THAT(world.pods(), SizeIs(2)) << "still stopping";
  play_kubelet();
  roll_out();
  EXPECT_THAT(images(), testing::ElementsAre("v2", "v2"));
}

TEST_F(DeploymentTest, UndoBringsBackTheOldSetUnderANewRevision) {
  deployment(R"("replicas":1)");
  roll_out();
  const std::string first = world.view.list(Kind::kReplicaSet).at(0)->key.name;
  set_image("v2");
  roll_out();
  set_image("v1");  // what `kubectl rollout undo` patches
  roll_out();
  EXPECT_THAT(world.view.list(Kind::kReplicaSet), SizeIs(2));
  EXPECT_THAT(images(), testing::ElementsAre("v1"));
  EXPECT_EQ(revision(), "3");
  const ObjectPtr set = world.view.find({Kind::kReplicaSet, "default", first});
  EXPECT_EQ(set->annotation("deployment.kubernetes.io/revision"), "3");
  EXPECT_EQ(set->annotation("deployment.kubernetes.io/revision-history"), "1");
}

TEST_F(DeploymentTest, KeepsOnlyItsHistory) {
  deployment(R"("replicas":1,"revisionHistoryLimit":2)");
  for (const std::string image : {"v2", "v3", "v4", "v5"}) {
    roll_out();
    set_image(image);
  }
  roll_out();
  EXPECT_THAT(world.view.list(Kind::kReplicaSet), SizeIs(3));
}

TEST_F(DeploymentTest, PausedItScalesButDoesNotRoll) {
  deployment(R"("replicas":2)");
  roll_out();
  world.change(key, R"({"spec":{"paused":true,"replicas":3}})");
  set_image("v2");
  roll_out();
  EXPECT_THAT(images(), testing::ElementsAre("v1", "v1", "v1"));
  EXPECT_EQ(reason("Progressing"), "DeploymentPaused");
  world.change(key, R"({"spec":{"paused":false}})");
  roll_out();
  EXPECT_THAT(images(), testing::Each("v2"));
}

TEST_F(DeploymentTest, AReplacedPodDoesNotReopenTheRollout) {
  deployment(R"("replicas":2)");
  roll_out();
  world.set_pod(world.active_pods().at(0), "Failed");
  settle();
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
  roll_out();
  EXPECT_EQ(status("availableReplicas"), 2);
}

TEST_F(DeploymentTest, ScalesToZero) {
  deployment(R"("replicas":2)");
  roll_out();
  world.change(key, R"({"spec":{"replicas":0}})");
  roll_out();
  EXPECT_THAT(world.pods(), IsEmpty());
  EXPECT_EQ(reason("Progressing"), "NewReplicaSetAvailable");
  EXPECT_EQ(reason("Available"), "MinimumReplicasAvailable");
}

TEST_F(DeploymentTest, AdoptsPodsThatMatch) {
  world.add(
      Kind::kReplicaSet,
      R"({"metadata":{"name":"rs"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"x"}},)"
      R"("template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[]}}}})");
  world.add(Kind::kPod, R"({"metadata":{"name":"lone","labels":{"app":"x"}}})");
  world.settle_all({&kReplicaSet});
  ASSERT_THAT(world.pods(), SizeIs(1));
  ASSERT_NE(world.pods().at(0)->controller(), nullptr);
  world.change({Kind::kPod, "default", "lone"}, R"({"metadata":{"labels":{"app":"y"}}})");
  world.settle_all({&kReplicaSet});
  EXPECT_EQ(world.view.find({Kind::kPod, "default", "lone"})->controller(), nullptr);
  EXPECT_THAT(world.pods(), SizeIs(2));
}

TEST(TemplateHash, DependsOnContentAndNotOnOrder) {
  const auto json = [](std::string_view text) { return objects::parse_json(text)->value; };
  const std::string hash = template_hash(json(R"({"spec":{"a":1,"b":[2]}})"), 0);
  EXPECT_EQ(hash, template_hash(json(R"({"spec":{"b":[2],"a":1}})"), 0));
  EXPECT_NE(hash, template_hash(json(R"({"spec":{"a":1,"b":[3]}})"), 0));
  EXPECT_NE(hash, template_hash(json(R"({"spec":{"a":1,"b":[2]}})"), 1));
  EXPECT_TRUE(same_template(json(R"({"metadata":{"labels":{"a":"b","pod-template-hash":"x"}}})"),
                            json(R"({"metadata":{"labels":{"a":"b"}}})")));
}

TEST_F(DeploymentTest, ReplicasAreToldWhatTheyAreWorthAndTheLeastGoesFirst) {
  const auto worths = [&] {
    std::vector<std::string> each;
    for (const ObjectPtr& pod : world.active_pods())
      each.emplace_back(pod->annotation("berth.dev/growth-value"));
    std::ranges::sort(each);
    return each;
  };
  deployment(R"("replicas":3)");
  world.change(key, R"({"metadata":{"annotations":{"berth.dev/growth-values":"1: 0.5, 0.1"}}})");
  settle();
  EXPECT_THAT(worths(), ElementsAre("", "0.1", "0.5")) << "from their creation on";
  world.change(key, R"({"metadata":{"annotations":{"berth.dev/growth-values":"1: 0.8, 0.3"}}})");
  settle();
  EXPECT_THAT(worths(), ElementsAre("", "0.3", "0.8"));
  world.change(key, R"({"spec":{"replicas":2}})");
  settle();
  EXPECT_THAT(worths(), ElementsAre("", "0.8"));
  world.change(key, R"({"metadata":{"annotations":{"berth.dev/growth-values":"1:"}}})");
  settle();
  EXPECT_THAT(worths(), ElementsAre("", "")) << "nothing is known any more";
}

}  // namespace
}  // namespace berth::controllers
