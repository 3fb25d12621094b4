#include <set>

#include <gtest/gtest.h>

#include "tests/contract/controllers/machine.h"

namespace berth::controllers {
namespace {

using ControllersTest = Machine;

std::string job(const std::string& spec, const std::string& metadata = "",
                const std::string& annotations = R"("test/phase":"Succeeded")") {
  return R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"train")" + metadata +
         R"(},"spec":{)" + spec + R"(,"template":{"metadata":{"annotations":{)" + annotations +
         R"(}},"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"host"}]}}}})";
}

std::string deployment(const std::string& image, int replicas) {
  return R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":)" +
         std::to_string(replicas) +
         R"(,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},)"
         R"("spec":{"containers":[{"name":"main","image":")" +
         image + R"("}]}}}})";
}

TEST_F(ControllersTest, AJobRunsToCompletion) {
  create(kJobs, job(R"("completions":5,"parallelism":2)"));
  ASSERT_TRUE(eventually([&] { return has_condition(kJobs, "train", "Complete"); }));
  EXPECT_EQ(status(kJobs, "train", "succeeded"), 5);
  EXPECT_EQ(status(kJobs, "train", "failed"), 0);
  EXPECT_EQ(list(kPods).size(), 5U) << "no pod more than asked for";
  for (const SharedJson& pod : list(kPods)) {
    EXPECT_TRUE(objects::find_array(*pod, {"metadata", "finalizers"}).empty());
  }
}

TEST_F(ControllersTest, AnIndexedJobRunsEachIndexOnce) {
  create(kJobs, job(R"("completions":6,"parallelism":3,"completionMode":"Indexed")"));
  ASSERT_TRUE(eventually([&] { return has_condition(kJobs, "train", "Complete"); }));
  EXPECT_EQ(objects::find_string(*get(kJobs, "train"), {"status", "completedIndexes"}), "0-5");
  std::set<std::string> indexes;
  for (const SharedJson& pod : list(kPods)) {
    EXPECT_TRUE(indexes
                    .emplace(objects::find_string(
                        *pod, {"metadata", "labels", "batch.kubernetes.io/job-completion-index"}))
                    .second);
  }
  EXPECT_EQ(indexes.size(), 6U);
}

TEST_F(ControllersTest, AJobThatKeepsFailingFails) {
  create(kJobs, job(R"("backoffLimit":0)", "", R"("test/phase":"Failed")"));
  ASSERT_TRUE(
      eventually([&] { return has_condition(kJobs, "train", "Failed", "BackoffLimitExceeded"); }));
  EXPECT_EQ(status(kJobs, "train", "failed"), 1);
}

TEST_F(ControllersTest, AGangGetsItsGroup) {
  create(kJobs, job(R"("completions":2,"parallelism":2,"completionMode":"Indexed")",
                    R"(,"labels":{"berth.dev/gang":"true"})", ""));
  ASSERT_TRUE(eventually([&] {
    return objects::find_string(*get(kPodGroups, "train"), {"status", "phase"}) == "Running";
  }));
  EXPECT_EQ(status(kPodGroups, "train", "running"), 2);
  EXPECT_EQ(objects::find_int(*get(kPodGroups, "train"), {"spec", "minMember"}), 2);
}

TEST_F(ControllersTest, ADeletedJobTakesItsPodsWithIt) {
  create(kJobs, job(R"("parallelism":3)", R"(,"labels":{"berth.dev/gang":"true"})", ""));
  ASSERT_TRUE(eventually([&] { return status(kJobs, "train", "ready") == 3; }));
  ASSERT_TRUE(api_->remove(at(kJobs, "train")));
  EXPECT_TRUE(eventually([&] { return list(kPods).empty() && list(kPodGroups).empty(); }));
}

TEST_F(ControllersTest, ASuspendedJobHoldsNothing) {
  create(kJobs, job(R"("parallelism":2)", "", ""));
  ASSERT_TRUE(eventually([&] { return status(kJobs, "train", "ready") == 2; }));
  patch(kJobs, "train", R"({"spec":{"suspend":true}})");
  ASSERT_TRUE(eventually([&] { return list(kPods).empty(); }));
  EXPECT_TRUE(eventually([&] { return has_condition(kJobs, "train", "Suspended"); }));
  patch(kJobs, "train", R"({"spec":{"suspend":false}})");
  EXPECT_TRUE(eventually([&] { return status(kJobs, "train", "ready") == 2; }));
  EXPECT_EQ(status(kJobs, "train", "failed"), 0);
}

TEST_F(ControllersTest, ADeploymentRollsOutAndBack) {
  const auto rolled_out = [&](int64_t replicas, const std::string& image) {
    return eventually([&] {
      const SharedJson web = get(kDeployments, "web");
      if (objects::find_int(*web, {"status", "observedGeneration"}) !=
              objects::find_int(*web, {"metadata", "generation"}) ||
          objects::find_int(*web, {"status", "updatedReplicas"}) != replicas ||
          objects::find_int(*web, {"status", "replicas"}) != replicas ||
          objects::find_int(*web, {"status", "availableReplicas"}) != replicas) {
        return false;
      }
      const auto pods = list(kPods);
      if (pods.size() != static_cast<size_t>(replicas)) return false;
      for (const SharedJson& pod : pods) {
        const Json& container = objects::find_array(*pod, {"spec", "containers"})[0];
        if (objects::find_string(container, {"image"}) != image) return false;
      }
      return true;
    });
  };
  const auto set_image = [&](const std::string& image) {
    patch(kDeployments, "web",
          R"({"spec":{"template":{"spec":{"containers":[{"name":"main","image":")" + image +
              R"("}]}}}})");
  };
  create(kDeployments, deployment("one", 3));
  ASSERT_TRUE(rolled_out(3, "one"));
  set_image("two");
  ASSERT_TRUE(rolled_out(3, "two"));
  EXPECT_EQ(list(kReplicaSets).size(), 2U);
  set_image("one");
  ASSERT_TRUE(rolled_out(3, "one"));
  EXPECT_EQ(list(kReplicaSets).size(), 2U) << "the old set is used again";
  EXPECT_TRUE(eventually([&] {
    return objects::find_string(*get(kDeployments, "web"),
                                {"metadata", "annotations", "deployment.kubernetes.io/revision"}) ==
           "3";
  }));
  patch(kDeployments, "web", R"({"spec":{"replicas":1}})");
  ASSERT_TRUE(rolled_out(1, "one"));
  ASSERT_TRUE(api_->remove(at(kDeployments, "web")));
  EXPECT_TRUE(eventually([&] { return list(kReplicaSets).empty() && list(kPods).empty(); }));
}

TEST_F(ControllersTest, ForegroundDeletionWaitsForThePods) {
  create(kDeployments, deployment("one", 2));
  ASSERT_TRUE(eventually([&] { return status(kDeployments, "web", "availableReplicas") == 2; }));
  client::DeleteOptions options;
  options.propagation = "Foreground";
  ASSERT_TRUE(api_->remove(at(kDeployments, "web"), options));
  ASSERT_TRUE(eventually([&] { return get(kDeployments, "web")->is_null(); }));
  EXPECT_TRUE(list(kReplicaSets).empty());
  EXPECT_TRUE(list(kPods).empty());
}

TEST_F(ControllersTest, OrphanedPodsStayAndAreAdopted) {
  create(kDeployments, deployment("one", 2));
  ASSERT_TRUE(eventually([&] { return status(kDeployments, "web", "availableReplicas") == 2; }));
  client::DeleteOptions options;
  options.propagation = "Orphan";
  ASSERT_TRUE(api_->remove(at(kDeployments, "web"), options));
  ASSERT_TRUE(eventually([&] { return get(kDeployments, "web")->is_null(); }));
  ASSERT_EQ(list(kReplicaSets).size(), 1U);
  create(kDeployments, deployment("one", 2));
  EXPECT_TRUE(eventually([&] { return status(kDeployments, "web", "availableReplicas") == 2; }));
  EXPECT_EQ(list(kReplicaSets).size(), 1U);
  EXPECT_EQ(list(kPods).size(), 2U);
}

TEST_F(ControllersTest, ABudgetKnowsItsPods) {
  create(kBudgets,
         R"({"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"web"},)"
         R"("spec":{"minAvailable":2,"selector":{"matchLabels":{"app":"web"}}}})");
  create(kDeployments, deployment("one", 3));
  EXPECT_TRUE(eventually([&] { return status(kBudgets, "web", "disruptionsAllowed") == 1; }));
  EXPECT_EQ(status(kBudgets, "web", "currentHealthy"), 3);
}

TEST_F(ControllersTest, TwoHundredPodsAreMadeOnceEach) {
  create(kJobs, job(R"("completions":200,"parallelism":200,"completionMode":"Indexed")"));
  ASSERT_TRUE(eventually([&] { return has_condition(kJobs, "train", "Complete"); }));
  EXPECT_EQ(list(kPods).size(), 200U);
}

TEST_F(ControllersTest, WorkGoesOnAfterARestart) {
  create(kJobs, job(R"("completions":1,"parallelism":1)"));
  runner_.reset();
  create(kDeployments, deployment("one", 2));
  start_runner();
  EXPECT_TRUE(eventually([&] { return has_condition(kJobs, "train", "Complete"); }));
  EXPECT_TRUE(eventually([&] { return status(kDeployments, "web", "availableReplicas") == 2; }));
  EXPECT_EQ(list(kPods).size(), 3U);
}

TEST_F(ControllersTest, AFullQuotaIsSaid) {
  create(
      {"", "v1", "resourcequotas"},
      R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"pods":"1"}}})");
  create(kDeployments, deployment("one", 3));
  EXPECT_TRUE(eventually([&] { return has_condition(kDeployments, "web", "ReplicaFailure"); }));
  EXPECT_TRUE(eventually([&] {
    for (const SharedJson& event : list(kEvents)) {
      if (objects::find_string(*event, {"reason"}) == "FailedCreate") return true;
    }
    return false;
  }));
  EXPECT_EQ(list(kPods).size(), 1U);
  patch({"", "v1", "resourcequotas"}, "q", R"({"spec":{"hard":{"pods":"5"}}})");
  EXPECT_TRUE(eventually([&] { return status(kDeployments, "web", "availableReplicas") == 3; }));
  EXPECT_TRUE(eventually([&] { return !has_condition(kDeployments, "web", "ReplicaFailure"); }));
}

}  // namespace
}  // namespace berth::controllers
