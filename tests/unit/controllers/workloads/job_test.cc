#include "controllers/workloads/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/conditions.h"
#include "controllers/workloads/job_spec.h"
#include "tests/unit/controllers/world.h"

namespace berth::controllers {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class JobTest : public testing::Test {
 protected:
  const Key key{Kind::kJob, "default", "train"};
  World world;

  void job(const std::string& spec, const std::string& metadata = "") {
    world.add(
        Kind::kJob,
        R"({"metadata":{"name":"train")" + metadata + R"(},"spec":{)" + spec +
            R"(,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"host"}]}}}})");
  }
  std::optional<Time> settle() { return world.settle(kJob, key); }
  int64_t status(std::string_view field) {
    return objects::find_int(world.json(key), {"status", field});
  }
  std::string text(std::string_view field) {
    return std::string(objects::find_string(world.json(key), {"status", field}));
  }
  bool is(std::string_view condition) { return condition_is_true(world.json(key), condition); }
  std::string reason(std::string_view condition) {
    const Json* found = find_condition(world.json(key), condition);
    return found == nullptr ? "" : std::string(objects::find_string(*found, {"reason"}));
  }
  std::string message(std::string_view condition) {
    const Json* found = find_condition(world.json(key), condition);
    return found == nullptr ? "" : std::string(objects::find_string(*found, {"message"}));
  }
  std::vector<int64_t> active_indexes() {
    std::vector<int64_t> indexes;
    for (const ObjectPtr& pod : world.active_pods()) indexes.push_back(index_of(*pod));
    return indexes;
  }
  ObjectPtr pod_of(int64_t index) {
    for (const ObjectPtr& pod : world.active_pods()) {
      if (index_of(*pod) == index) return pod;
    }
    return nullptr;
  }
  /// Ends every active pod and lets the Job take note, waiting out back-offs.
  void end_all(std::string_view phase) {
    for (const ObjectPtr& pod : world.active_pods()) world.set_pod(pod, phase);
    if (const auto again = settle()) {
      world.now = std::max(world.now, *again);
      settle();
    }
  }
};

TEST_F(JobTest, RunsOnePodToCompletion) {
  job(R"("completions":1,"parallelism":1)");
  settle();
  ASSERT_THAT(world.active_pods(), SizeIs(1));
  EXPECT_EQ(status("active"), 1);
  EXPECT_EQ(text("startTime"), "2026-11-23T10:00:00Z");
  end_all("Succeeded");
  EXPECT_EQ(status("succeeded"), 1);
  EXPECT_EQ(status("active"), 0);
  EXPECT_TRUE(is("Complete"));
  EXPECT_TRUE(is("SuccessCriteriaMet"));
  EXPECT_FALSE(text("completionTime").empty());
}

TEST_F(JobTest, PodsCarryWhatTheJobSaysOfItself) {
  job(R"("parallelism":1,"activeDeadlineSeconds":90)",
      R"(,"labels":{"berth.dev/queue":"research"},"annotations":{"berth.dev/preemptible":"false","other":"x"})");
  settle();
  const ObjectPtr pod = world.active_pods().at(0);
  EXPECT_EQ(pod->label("berth.dev/queue"), "research");
  EXPECT_EQ(pod->label("batch.kubernetes.io/job-name"), "train");
  EXPECT_EQ(pod->label("job-name"), "train");
  EXPECT_EQ(pod->annotation("berth.dev/preemptible"), "false");
  EXPECT_EQ(pod->annotation("berth.dev/expected-duration"), "1m30s");
  EXPECT_EQ(pod->annotation("other"), "");
  ASSERT_NE(pod->controller(), nullptr);
  EXPECT_EQ(pod->controller()->name, "train");
}

TEST_F(JobTest, KeepsParallelismUntilCompletions) {
  job(R"("completions":5,"parallelism":2)");
  settle();
  EXPECT_THAT(world.active_pods(), SizeIs(2));
  end_all("Succeeded");
  EXPECT_THAT(world.active_pods(), SizeIs(2));
  end_all("Succeeded");
  EXPECT_THAT(world.active_pods(), SizeIs(1));
  end_all("Succeeded");
  EXPECT_EQ(status("succeeded"), 5);
  EXPECT_TRUE(is("Complete"));
}

TEST_F(JobTest, WithoutCompletionsOneSuccessEndsIt) {
  job(R"("parallelism":2)");
  settle();
  world.set_pod(world.active_pods().at(0), "Succeeded");
  settle();
  EXPECT_THAT(world.active_pods(), SizeIs(1));
  EXPECT_FALSE(is("Complete"));
  end_all("Succeeded");
  EXPECT_TRUE(is("Complete"));
}

TEST_F(JobTest, ASuccessCountsAlsoWhenThePodIsDeletedAtOnce) {
  job(R"("completions":1,"parallelism":1)");
  settle();
  const ObjectPtr pod = world.active_pods().at(0);
  world.set_pod(pod, "Succeeded");
  world.remove(pod->key);
  ASSERT_NE(world.view.find(pod->key), nullptr) << "the finalizer holds it until it is counted";
  settle();
  EXPECT_EQ(world.view.find(pod->key), nullptr);
  EXPECT_TRUE(is("Complete"));
}

TEST_F(JobTest, IndexedPodsKnowTheirIndex) {
  job(R"("completions":3,"parallelism":3,"completionMode":"Indexed")");
  settle();
  EXPECT_THAT(active_indexes(), UnorderedElementsAre(0, 1, 2));
  const Json& pod = *pod_of(2)->json;
  EXPECT_EQ(objects::find_string(pod, {"spec", "hostname"}), "train-2");
  EXPECT_EQ(pod_of(2)->label("batch.kubernetes.io/job-completion-index"), "2");
  const Json& variable =
      objects::find_array(objects::find_array(pod, {"spec", "containers"})[0], {"env"})[0];
  EXPECT_EQ(objects::find_string(variable, {"name"}), "JOB_COMPLETION_INDEX");
  EXPECT_EQ(objects::find_string(variable, {"value"}), "2");
}

TEST_F(JobTest, AFailedIndexIsTriedAgain) {
  job(R"("completions":3,"parallelism":3,"completionMode":"Indexed")");
  settle();
  world.set_pod(pod_of(0), "Succeeded");
  world.set_pod(pod_of(1), "Failed");
  const auto again = settle();
  EXPECT_THAT(active_indexes(), ElementsAre(2)) << "backing off";
  ASSERT_TRUE(again);
  EXPECT_EQ(*again - world.now, Duration::seconds(10));
  world.now = *again;
  settle();
  EXPECT_THAT(active_indexes(), UnorderedElementsAre(1, 2));
  EXPECT_EQ(text("completedIndexes"), "0");
  EXPECT_EQ(status("failed"), 1);
  end_all("Succeeded");
  EXPECT_EQ(text("completedIndexes"), "0-2");
  EXPECT_TRUE(is("Complete"));
}

TEST_F(JobTest, PodsThatMayNotBeMadeAreACondition) {
  job(R"("completions":1,"parallelism":1)");
  world.view.set_failure(key, "exceeded quota: small");
  for (const Write& write : world.reconcile(kJob, key).writes)
    if (write.verb != Write::Verb::kCreate) world.apply(write);
  EXPECT_TRUE(is("ReplicaFailure"));
  EXPECT_EQ(message("ReplicaFailure"), "exceeded quota: small");
  settle();
  EXPECT_THAT(world.active_pods(), SizeIs(1));
  EXPECT_FALSE(is("ReplicaFailure")) << "they were made";
}

TEST_F(JobTest, BackoffDoublesAndIsForgottenBySuccess) {
  job(R"("completions":9,"parallelism":1)");
  settle();
  for (const int64_t expected : {10, 20, 40}) {
    world.set_pod(world.active_pods().at(0), "Failed");
    const auto again = settle();
    ASSERT_TRUE(again);
    EXPECT_EQ(*again - world.now, Duration::seconds(expected));
    EXPECT_TRUE(is("berth.dev/BackingOff"));
    EXPECT_THAT(message("berth.dev/BackingOff"),
                testing::HasSubstr("starts at " + format_time(*again)));
    world.now = *again;
    settle();
    EXPECT_FALSE(is("berth.dev/BackingOff"));
  }
  world.set_pod(world.active_pods().at(0), "Succeeded");
  EXPECT_FALSE(settle());
  EXPECT_THAT(world.active_pods(), SizeIs(1));
}

TEST_F(JobTest, FailsPastTheBackoffLimit) {
  job(R"("completions":1,"parallelism":1,"backoffLimit":1)");
  settle();
  end_all("Failed");
  EXPECT_THAT(world.active_pods(), SizeIs(1));
  end_all("Failed");
  EXPECT_THAT(world.active_pods(), IsEmpty());
  EXPECT_TRUE(is("Failed"));
  EXPECT_EQ(reason("Failed"), "BackoffLimitExceeded");
  EXPECT_EQ(status("failed"), 2);
  EXPECT_THAT(world.notes, testing::Contains("BackoffLimitExceeded"));
}

TEST_F(JobTest, PreemptedPodsAreReplacedAndNotCounted) {
  job(R"("completions":2,"parallelism":2,"completionMode":"Indexed","backoffLimit":0)");
  settle();
  world.preempt(pod_of(0));
  world.preempt(pod_of(1));
  EXPECT_FALSE(settle()) << "no back-off for what was taken away";
  EXPECT_THAT(active_indexes(), UnorderedElementsAre(0, 1));
  EXPECT_EQ(status("failed"), 0);
  EXPECT_FALSE(is("Failed"));
}

TEST_F(JobTest, DeadlineEndsItAndItsPods) {
  job(R"("completions":1,"parallelism":1,"activeDeadlineSeconds":60)");
  const auto again = settle();
  ASSERT_TRUE(again);
  const ObjectPtr pod = world.active_pods().at(0);
  world.set_pod(pod, "Running", true);
  world.now = *again;
  settle();
  EXPECT_THAT(world.active_pods(), IsEmpty());
  EXPECT_TRUE(is("FailureTarget"));
  EXPECT_FALSE(is("Failed")) << "its process has not stopped yet";
  EXPECT_EQ(status("terminating"), 1);
  world.stop(pod);
  settle();
  EXPECT_EQ(reason("Failed"), "DeadlineExceeded");
  EXPECT_EQ(status("failed"), 0) << "stopping it was the Job's own wish";
}

TEST_F(JobTest, SuspendTakesThePodsAndResumeBringsThemBack) {
  job(R"("completions":1,"parallelism":1,"activeDeadlineSeconds":60)");
  settle();
  world.change(key, R"({"spec":{"suspend":true}})");
  settle();
  EXPECT_THAT(world.active_pods(), IsEmpty());
  EXPECT_TRUE(is("Suspended"));
  EXPECT_EQ(text("startTime"), "");
  world.now = world.now + Duration::hours(1);
  world.change(key, R"({"spec":{"suspend":false}})");
  settle();
  EXPECT_THAT(world.active_pods(), SizeIs(1));
  EXPECT_FALSE(is("Suspended"));
  EXPECT_EQ(text("startTime"), "2026-11-23T11:00:00Z");
  EXPECT_FALSE(is("FailureTarget")) << "the deadline starts anew";
}

TEST_F(JobTest, LessParallelismTakesTheCheapestPods) {
  job(R"("completions":9,"parallelism":3)");
  settle();
  const ObjectPtr running = world.active_pods().at(1);
  world.set_pod(running, "Running", true);
  world.change(key, R"({"spec":{"parallelism":1}})");
  settle();
  ASSERT_THAT(world.active_pods(), SizeIs(1));
  EXPECT_EQ(world.active_pods().at(0)->key, running->key);
  EXPECT_EQ(status("failed"), 0);
}

TEST_F(JobTest, GoesAwayAfterItsTimeToLive) {
  job(R"("completions":1,"parallelism":1,"ttlSecondsAfterFinished":30)");
  settle();
  world.set_pod(world.active_pods().at(0), "Succeeded");
  const auto again = settle();
  ASSERT_TRUE(again);
  EXPECT_EQ(*again - world.now, Duration::seconds(30));
  world.now = *again;
  settle();
  EXPECT_EQ(world.view.find(key), nullptr);
}

TEST_F(JobTest, GangGetsItsGroupBeforeItsPods) {
  job(R"("completions":2,"parallelism":2,"completionMode":"Indexed")",
      R"(,"labels":{"berth.dev/gang":"true","berth.dev/queue":"research"})");
  const Outcome first = world.reconcile(kJob, key);
  for (const Write& write : first.writes) {
    EXPECT_NE(write.key.kind, Kind::kPod);
    world.apply(write);
  }
  const Key group{Kind::kPodGroup, "default", "train"};
  EXPECT_EQ(objects::find_int(world.json(group), {"spec", "minMember"}), 2);
  EXPECT_EQ(world.view.find(group)->label("berth.dev/queue"), "research");
  settle();
  ASSERT_THAT(world.active_pods(), SizeIs(2));
  for (const ObjectPtr& pod : world.active_pods()) {
    EXPECT_EQ(pod->label("scheduling.x-k8s.io/pod-group"), "train");
  }
}

TEST_F(JobTest, ElasticGangNeedsOnlyItsMinimum) {
  job(R"("completions":8,"parallelism":8,"completionMode":"Indexed")",
      R"(,"labels":{"berth.dev/gang":"true"},"annotations":{"berth.dev/gang-min":"3"})");
  settle();
  EXPECT_EQ(
      objects::find_int(world.json({Kind::kPodGroup, "default", "train"}), {"spec", "minMember"}),
      3);
}

TEST_F(JobTest, FailurePolicyDecides) {
  const std::string policy =
      R"("completions":2,"parallelism":2,"completionMode":"Indexed","podFailurePolicy":{"rules":[)"
      R"({"action":"FailJob","onExitCodes":{"operator":"In","values":[42]}},)"
      R"({"action":"Ignore","onExitCodes":{"operator":"In","values":[7]}}]})";
  const auto exits = [&](const ObjectPtr& pod, int code) {
    world.change(
        pod->key,
        R"({"status":{"phase":"Failed","containerStatuses":[{"name":"main","state":{"terminated":{"exitCode":)" +
            std::to_string(code) + R"(,"finishedAt":"2026-11-23T09:00:00Z"}}}]}})");
  };
  job(policy);
  settle();
  exits(pod_of(0), 7);
  settle();
  EXPECT_EQ(status("failed"), 0);
  EXPECT_THAT(active_indexes(), UnorderedElementsAre(0, 1));
  exits(pod_of(1), 42);
  settle();
  EXPECT_EQ(reason("FailureTarget"), "PodFailurePolicy");
  EXPECT_THAT(world.active_pods(), IsEmpty());
}

TEST_F(JobTest, ADeletedJobHoldsNoPod) {
  job(R"("completions":1,"parallelism":1)");
  settle();
  const ObjectPtr pod = world.active_pods().at(0);
  world.view.remove(key, world.now);
  settle();
  EXPECT_FALSE(world.view.find(pod->key)->has_finalizer(kJobFinalizer));
}

struct IndexCase {
  std::set<int64_t> indexes;
  std::string text;
};

TEST(JobIndexes, AreWrittenAsKubernetesDoes) {
  for (const auto& [indexes, text] :
       {IndexCase{{}, ""}, IndexCase{{3}, "3"}, IndexCase{{0, 1}, "0,1"},
        IndexCase{{1, 2, 3, 5}, "1-3,5"}, IndexCase{{0, 2, 3, 4, 5, 9, 10}, "0,2-5,9,10"}}) {
    EXPECT_EQ(format_indexes(indexes), text);
    EXPECT_EQ(parse_indexes(text), indexes);
  }
  EXPECT_THAT(parse_indexes("a,-,3-x,7"), ElementsAre(7));
}

}  // namespace
}  // namespace berth::controllers
