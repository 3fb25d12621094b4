#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/conditions.h"
#include "controllers/upkeep/disruption_budget.h"
#include "controllers/upkeep/garbage.h"
#include "controllers/upkeep/lost_pods.h"
#include "controllers/upkeep/pod_group.h"
#include "tests/unit/controllers/world.h"

namespace berth::controllers {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

std::string owned_by(const Object& owner, bool blocks = true) {
  return R"("ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":")" +
         owner.key.name + R"(","uid":")" + owner.uid +
         R"(","controller":true,"blockOwnerDeletion":)" + (blocks ? "true" : "false") + "}]";
}

class GarbageTest : public testing::Test {
 protected:
  World world;
  const Key set{Kind::kReplicaSet, "default", "rs"};
  const Key pod{Kind::kPod, "default", "p"};

  ObjectPtr owner(const std::string& metadata = "") {
    return world.add(Kind::kReplicaSet, R"({"metadata":{"name":"rs")" + metadata + "}}");
  }
  ObjectPtr dependent(const std::string& references) {
    return world.add(Kind::kPod, R"({"metadata":{"name":"p",)" + references + "}}");
  }
  bool there(const Key& key) { return world.view.find(key) != nullptr; }
};

TEST_F(GarbageTest, WhatHasAnOwnerStays) {
  dependent(owned_by(*owner()));
  EXPECT_THAT(world.reconcile(kGarbage, pod).writes, IsEmpty());
}

TEST_F(GarbageTest, WhatLostItsOwnerGoesOnceTheServerConfirmsIt) {
  const ObjectPtr gone = owner();
  dependent(owned_by(*gone));
  world.view.remove(set, world.now);
  std::vector<Key> keys;
  kGarbage.affected(world.view, *gone, keys);
  EXPECT_THAT(keys, testing::ElementsAre(pod));
  const Outcome outcome = world.reconcile(kGarbage, pod);
  ASSERT_THAT(outcome.writes, SizeIs(1));
  EXPECT_EQ(outcome.writes[0].verb, Write::Verb::kDelete);
  ASSERT_THAT(outcome.writes[0].confirm_gone, SizeIs(1));
  EXPECT_EQ(outcome.writes[0].confirm_gone[0], std::pair(set, gone->uid));
}

TEST_F(GarbageTest, ASuccessorOfTheSameNameOwnsNothing) {
  const ObjectPtr first = owner();
  dependent(owned_by(*first));
  world.view.remove(set, world.now);
  owner();
  EXPECT_THAT(world.reconcile(kGarbage, pod).writes, SizeIs(1));
}

TEST_F(GarbageTest, OwnersOfUnknownKindsAreTakenToExist) {
  dependent(
      R"("ownerReferences":[{"apiVersion":"ray.io/v1","kind":"RayCluster","name":"r","uid":"u"}])");
  EXPECT_THAT(world.reconcile(kGarbage, pod).writes, IsEmpty());
}

TEST_F(GarbageTest, ForegroundWaitsForDependents) {
  const ObjectPtr going =
      owner(R"(,"finalizers":["foregroundDeletion"],"deletionTimestamp":"2026-11-23T10:00:00Z")");
  world.set_pod(dependent(owned_by(*going)), "Running", true);
  world.settle(kGarbage, set);
  EXPECT_TRUE(there(set));
  EXPECT_TRUE(world.view.find(pod)->deleting);
  world.stop(world.view.find(pod));
  world.settle(kGarbage, set);
  EXPECT_FALSE(there(set));
}

TEST_F(GarbageTest, ForegroundDoesNotWaitForOthersWork) {
  const ObjectPtr going =
      owner(R"(,"finalizers":["foregroundDeletion"],"deletionTimestamp":"2026-11-23T10:00:00Z")");
  world.set_pod(dependent(owned_by(*going, false)), "Running", true);
  world.settle(kGarbage, set);
  EXPECT_FALSE(there(set));
}

TEST_F(GarbageTest, ACycleOfOwnersComesToAnEnd) {
  world.add(
      Kind::kReplicaSet,
      R"({"metadata":{"name":"rs","uid":"a","finalizers":["foregroundDeletion"],"deletionTimestamp":"2026-11-23T10:00:00Z",)"
      R"("ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p","uid":"b","blockOwnerDeletion":true}]}})");
  world.add(
      Kind::kPod,
      R"({"metadata":{"name":"p","uid":"b","finalizers":["foregroundDeletion"],)"
      R"("ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"a","blockOwnerDeletion":true}]}})");
  world.settle_all({&kGarbage});
  EXPECT_FALSE(there(set));
  EXPECT_FALSE(there(pod));
}

TEST_F(GarbageTest, OrphansAreSetFree) {
  const ObjectPtr going =
      owner(R"(,"finalizers":["orphan"],"deletionTimestamp":"2026-11-23T10:00:00Z")");
  dependent(owned_by(*going));
  world.settle(kGarbage, set);
  EXPECT_FALSE(there(set));
  ASSERT_TRUE(there(pod));
  EXPECT_THAT(world.view.find(pod)->owners, IsEmpty());
  EXPECT_THAT(world.reconcile(kGarbage, pod).writes, IsEmpty());
}

TEST(LostPods, GoAfterTheQuarantine) {
  World world;
  const ObjectPtr node = world.add(Kind::kNode, R"({"metadata":{"name":"n1"}})");
  const ObjectPtr pod = world.add(Kind::kPod, R"({"metadata":{"name":"p"}})");
  world.set_pod(pod, "Running", true);
  EXPECT_FALSE(world.settle(kLostPods, pod->key));
  world.view.remove(node->key, world.now);
  const auto again = world.settle(kLostPods, pod->key);
  ASSERT_TRUE(again);
  EXPECT_NE(world.view.find(pod->key), nullptr);
  world.now = *again;
  const Outcome outcome = world.reconcile(kLostPods, pod->key);
  ASSERT_THAT(outcome.writes, SizeIs(2));
  EXPECT_EQ(objects::find_string(outcome.writes[0].body, {"status", "phase"}), "Failed");
  world.settle(kLostPods, pod->key);
  EXPECT_EQ(world.view.find(pod->key), nullptr);
}

struct BudgetCase {
  std::string spec;
  int ready;
  int pods;
  int64_t desired;
  int64_t allowed;
};

TEST(DisruptionBudget, SaysHowManyMayGo) {
  for (const BudgetCase& c : {BudgetCase{R"("minAvailable":2)", 3, 3, 2, 1},
                              BudgetCase{R"("minAvailable":2)", 2, 3, 2, 0},
                              BudgetCase{R"("minAvailable":"50%")", 4, 4, 2, 2},
                              BudgetCase{R"("maxUnavailable":1)", 4, 4, 3, 1},
                              BudgetCase{R"("maxUnavailable":"25%")", 3, 4, 3, 0},
                              BudgetCase{R"("maxUnavailable":0)", 4, 4, 4, 0},
                              BudgetCase{R"("minAvailable":1)", 0, 0, 1, 0}}) {
    World world;
    const Key key{Kind::kPodDisruptionBudget, "default", "b"};
    world.add(key.kind, R"({"metadata":{"name":"b"},"spec":{)" + c.spec +
                            R"(,"selector":{"matchLabels":{"app":"web"}}}})");
    for (int i = 0; i < c.pods; ++i) {
      const ObjectPtr pod = world.add(Kind::kPod, R"({"metadata":{"name":"p)" + std::to_string(i) +
                                                      R"(","labels":{"app":"web"}}})");
      world.set_pod(pod, "Running", i < c.ready);
    }
    world.add(Kind::kPod, R"({"metadata":{"name":"other","labels":{"app":"db"}}})");
    world.settle(kDisruptionBudget, key);
    EXPECT_EQ(objects::find_int(world.json(key), {"status", "desiredHealthy"}), c.desired)
        << c.spec;
    EXPECT_EQ(objects::find_int(world.json(key), {"status", "currentHealthy"}), c.ready) << c.spec;
    EXPECT_EQ(objects::find_int(world.json(key), {"status", "disruptionsAllowed"}), c.allowed)
        << c.spec;
  }
}

struct GroupCase {
  std::vector<std::string> phases;
  std::string phase;
};

TEST(PodGroup, SaysHowFarItIs) {
  for (const GroupCase& c : {GroupCase{{}, "Pending"}, GroupCase{{"Pending"}, "Scheduling"},
                             GroupCase{{"Running", "Running"}, "Running"},
                             GroupCase{{"Running", "Succeeded"}, "Running"},
                             GroupCase{{"Succeeded", "Succeeded"}, "Finished"},
                             GroupCase{{"Running", "Failed"}, "Failed"}}) {
    World world;
    const Key key{Kind::kPodGroup, "default", "g"};
    world.add(key.kind,
              R"({"metadata":{"name":"g"},"spec":{"minMember":2},"status":{"intent":"kept"}})");
    for (size_t i = 0; i < c.phases.size(); ++i) {
      world.set_pod(
          world.add(Kind::kPod, R"({"metadata":{"name":"p)" + std::to_string(i) +
                                    R"(","labels":{"scheduling.x-k8s.io/pod-group":"g"}}})"),
          c.phases[i]);
    }
    world.settle(kPodGroup, key);
    EXPECT_EQ(objects::find_string(world.json(key), {"status", "phase"}), c.phase);
    EXPECT_EQ(objects::find_string(world.json(key), {"status", "intent"}), "kept");
  }
}

}  // namespace
}  // namespace berth::controllers
