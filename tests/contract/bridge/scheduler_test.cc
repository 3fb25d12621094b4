// The scheduler against the real API server. The test plays the kubelet.

#include "bridge/scheduler.h"

#include <chrono>
#include <fstream>
#include <future>
#include <thread>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/journal_file.h"
#include "control/replay.h"
#include "objects/json.h"
#include "tests/unit/apiserver/test_server.h"

namespace berth::bridge {
namespace {

using objects::find;
using objects::find_array;
using objects::find_string;
using testing::HasSubstr;

class SchedulerTest : public apiserver::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    create("nodes", R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n1","annotations":{
      "berth.dev/devices":"[{\"resource\":\"nvidia.com/gpu\",\"id\":\"gpu-0\",\"model\":\"H100\",\"memoryBytes\":85899345920},{\"resource\":\"nvidia.com/gpu\",\"id\":\"gpu-1\",\"model\":\"H100\",\"memoryBytes\":85899345920}]"}},
      "status":{"allocatable":{"cpu":"8","memory":"32Gi","pods":"110","ephemeral-storage":"100Gi","nvidia.com/gpu":"2"},
      "conditions":[{"type":"Ready","status":"True"}]}})");
    patch(
        "nodes", "", "n1", "status",
        R"({"status":{"allocatable":{"cpu":"8","memory":"32Gi","pods":"110","ephemeral-storage":"100Gi","nvidia.com/gpu":"2"},
          "conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","message":"","lastTransitionTime":"2026-11-23T10:00:00Z","lastHeartbeatTime":"2026-11-23T10:00:00Z"}]}})");
  }
  void priorities() {
    create(
        "priorityclasses",
        R"({"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"low"},"value":1})");
    create(
        "priorityclasses",
        R"({"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"high"},"value":10})");
  }
  void TearDown() override { scheduler_.reset(); }

  /// A second machine, without devices.
  void node(const std::string& name) {
    create("nodes", R"({"apiVersion":"v1","kind":"Node","metadata":{"name":")" + name + R"("}})");
    patch(
        "nodes", "", name, "status",
        R"({"status":{"allocatable":{"cpu":"8","memory":"32Gi","pods":"110","ephemeral-storage":"100Gi"},
          "conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","message":"","lastTransitionTime":"2026-11-23T10:00:00Z","lastHeartbeatTime":"2026-11-23T10:00:00Z"}]}})");
  }
  void start(const std::string& profile = "pack") {
    core::PolicySet policy;
    policy.profile = profile;
    policy.default_times.protection = Duration{};
    auto started = Scheduler::start({.client = server_->client(),
                                     .clock = clock_,
                                     .journal_dir = journal(),
                                     .configuration = {.policy = policy},
                                     .build = "test"});
    ASSERT_TRUE(started) << started.error().to_string();
    scheduler_ = *std::move(started);
  }
  std::filesystem::path journal() const { return folder_.path() / "journal"; }

  static client::Resource resource(const std::string& plural) {
    if (plural == "podgroups") return {"scheduling.x-k8s.io", "v1alpha1", plural};
    if (plural == "priorityclasses") return {"scheduling.k8s.io", "v1", plural};
    if (plural == "queues") return {"berth.dev", "v1alpha1", plural};
    if (plural == "poddisruptionbudgets") return {"policy", "v1", plural};
    return {"", "v1", plural};
  }
  static client::Target at(const std::string& plural, const std::string& name = "",
                           const std::string& sub = "") {
    const bool cluster = plural == "nodes" || plural == "queues" || plural == "priorityclasses";
    return {resource(plural), cluster ? "" : "default", name, sub};
  }
  void create(const std::string& plural, std::string_view text) {
    const auto created = api_->create(at(plural), apiserver::json(text));
    ASSERT_TRUE(created) << created.error().to_string();
  }
  void patch(const std::string& plural, const std::string&, const std::string& name,
             const std::string& sub, std::string_view text) {
    const auto patched =
        api_->patch(at(plural, name, sub), client::PatchType::kMerge, apiserver::json(text));
    ASSERT_TRUE(patched) << patched.error().to_string();
  }
  SharedJson get(const std::string& plural, const std::string& name) {
    const auto got = api_->get(at(plural, name));
    return got ? *got : std::make_shared<const Json>(nullptr);
  }
  void pod(const std::string& name, int gpus, const std::string& metadata = "",
           const std::string& spec = "") {
    create(
        "pods",
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name + "\"" + metadata +
            R"(},"spec":{"terminationGracePeriodSeconds":5)" + spec +
            R"(,"containers":[{"name":"c","image":"host","resources":{"limits":{"cpu":"100m","memory":"64Mi")" +
            (gpus > 0 ? R"(,"nvidia.com/gpu":")" + std::to_string(gpus) + "\"" : "") + "}}}]}}");
  }
  void run(const std::string& name) {
    patch("pods", "default", name, "status", R"({"status":{"phase":"Running"}})");
  }
  void kill(const std::string& name) {
    client::DeleteOptions now;
    now.grace = Duration{};
    ASSERT_TRUE(api_->remove(at("pods", name), now));
  }
  std::string node_of(const std::string& pod) {
    return std::string(find_string(*get("pods", pod), {"spec", "nodeName"}));
  }
  std::string annotation(const std::string& plural, const std::string& name, std::string_view key) {
    return std::string(find_string(*get(plural, name), {"metadata", "annotations", key}));
  }
  std::string condition(const std::string& pod, std::string_view type, std::string_view field) {
    const SharedJson json = get("pods", pod);
    for (const Json& c : find_array(*json, {"status", "conditions"}))
      if (find_string(c, {"type"}) == type) return std::string(find_string(c, {field}));
    return {};
  }
  Json explain(const std::string& pod) {
    std::promise<Result<Json>> promise;
    scheduler_->explain_pod("default", pod,
                            [&](Result<Json> json) { promise.set_value(std::move(json)); });
    const Result<Json> answer = promise.get_future().get();
    return answer ? *answer : Json(answer.error().to_string());
  }

  void expect_journal_replays() {
    const auto segments = control::journal_segments(journal());
    ASSERT_TRUE(segments) << segments.error().to_string();
    std::ifstream file(segments->back());
    const auto report = control::replay(file);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_GT(report->plans, 3u);
    EXPECT_FALSE(report->first_difference) << report->first_difference->recorded << "\n"
                                           << report->first_difference->replayed;
  }
  /// Of the journal's newest segment.
  std::vector<std::string> lines_with(const std::string& text) {
    std::vector<std::string> lines;
    const auto segments = control::journal_segments(journal());
    if (!segments) return lines;
    std::ifstream file(segments->back());
    for (std::string line; std::getline(file, line);)
      if (line.find(text) != std::string::npos) lines.push_back(line);
    return lines;
  }

  template <class Condition>
  static bool eventually(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  std::unique_ptr<Scheduler> scheduler_;
  int ticks_ = 0;
};

TEST_F(SchedulerTest, APodGetsANodeAndItsDevices) {
  start();
  pod("a", 1);
  ASSERT_TRUE(eventually([&] { return node_of("a") == "n1"; })) << explain("a");
  const Json devices = apiserver::json(annotation("pods", "a", "berth.dev/devices"));
  const JsonArray& list = find_array(devices, {"nvidia.com/gpu"});
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(find_string(list[0], {"id"}), "gpu-0");
  EXPECT_EQ(objects::find_int(list[0], {"milli"}), 1000);
  EXPECT_EQ(objects::find_int(list[0], {"memoryBytes"}), int64_t{80} << 30);
  ASSERT_TRUE(eventually([&] {
    const auto events = api_->list(at("events"));
    return events && std::any_of(events->items.begin(), events->items.end(), [](const auto& e) {
             return find_string(*e, {"reason"}) == "Scheduled";
           });
  }));
  EXPECT_EQ(find_string(explain("a"), {"node"}), "n1");
}

TEST_F(SchedulerTest, SharesOfOneDevice) {
  start();
  pod("half", 0, R"(,"annotations":{"berth.dev/gpu-fraction":"0.5"})");
  pod("memory", 0, R"(,"annotations":{"gpu-memory":"40960"})");
  ASSERT_TRUE(eventually([&] { return node_of("half") == "n1" && node_of("memory") == "n1"; }));
  EXPECT_THAT(annotation("pods", "half", "berth.dev/devices"), HasSubstr("\"milli\":500"));
  EXPECT_THAT(annotation("pods", "memory", "berth.dev/devices"), HasSubstr("gpu-0"));
}

TEST_F(SchedulerTest, WhatCannotBeIsToldAtOnceAndTrue) {
  start();
  pod("huge", 3);
  ASSERT_TRUE(eventually([&] { return condition("huge", "PodScheduled", "status") == "False"; }));
  EXPECT_EQ(condition("huge", "PodScheduled", "reason"), "Unschedulable");
  EXPECT_EQ(condition("huge", "PodScheduled", "message"),
            "it asks for 3 nvidia.com/gpu on one node; the most that a node has is 2");
  EXPECT_EQ(find_string(find_array(explain("huge"), {"reasons"}).at(0), {"code"}), "Never");

  create("pods", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"both"},"spec":{
      "containers":[{"name":"c","image":"host","resources":{"limits":{
      "cpu":"900","nvidia.com/gpu":"3"}}}]}})");
  ASSERT_TRUE(eventually([&] { return condition("both", "PodScheduled", "status") == "False"; }));
  EXPECT_THAT(condition("both", "PodScheduled", "message"),
              HasSubstr("the most that a node has is 2; and it asks for 900 CPUs"));

  pod("holder", 0);
  ASSERT_TRUE(eventually([&] { return node_of("holder") == "n1"; }));
  pod("lost", 0, R"(,"labels":{"berth.dev/queue":"nosuch"})");
  ASSERT_TRUE(eventually([&] { return condition("lost", "PodScheduled", "status") == "False"; }));
  const Json lost = explain("lost");
  EXPECT_EQ(find_string(find_array(lost, {"reasons"}).at(0), {"code"}), "QueueMissing");
  EXPECT_EQ(objects::find(lost, {"holders"}), nullptr) << "nobody holds anything against it";

  pod("wrong", 0, R"(,"annotations":{"berth.dev/gpu-fraction":"1.5"})");
  ASSERT_TRUE(eventually([&] { return condition("wrong", "PodScheduled", "status") == "False"; }));
  EXPECT_THAT(condition("wrong", "PodScheduled", "message"), HasSubstr("at most 1"));
}

TEST_F(SchedulerTest, AGangIsBoundWholeAfterItsIntentIsDurable) {
  start();
  create(
      "podgroups",
      R"({"apiVersion":"scheduling.x-k8s.io/v1alpha1","kind":"PodGroup","metadata":{"name":"g"},"spec":{"minMember":2}})");
  const std::string member = R"(,"labels":{"scheduling.x-k8s.io/pod-group":"g"})";
  pod("g-0", 1, member);
  ASSERT_TRUE(eventually([&] { return !condition("g-0", "PodScheduled", "message").empty(); }));
  EXPECT_EQ(condition("g-0", "PodScheduled", "message"),
            "1 of the 2 members that the gang needs exist");
  EXPECT_EQ(node_of("g-0"), "");
  pod("g-1", 1, member);
  ASSERT_TRUE(eventually([&] { return node_of("g-0") == "n1" && node_of("g-1") == "n1"; }));
  ASSERT_TRUE(eventually([&] { return annotation("podgroups", "g", "berth.dev/intent").empty(); }));
}

TEST_F(SchedulerTest, AfterACrashAnIntentIsRolledForward) {
  create(
      "podgroups",
      R"({"apiVersion":"scheduling.x-k8s.io/v1alpha1","kind":"PodGroup","metadata":{"name":"g","annotations":{
         "berth.dev/intent":"{\"plan\":9,\"members\":[{\"task\":\"default/g-0\",\"node\":\"n1\",\"devices\":[\"gpu-1\"]},{\"task\":\"default/g-1\",\"node\":\"n1\",\"devices\":[\"gpu-0\"]}]}"}},
         "spec":{"minMember":2}})");
  const std::string member = R"(,"labels":{"scheduling.x-k8s.io/pod-group":"g"})";
  pod("g-0", 1, member);
  pod("g-1", 1, member);
  const auto bound = api_->create(at("pods", "g-0", "binding"), apiserver::json(R"({
    "apiVersion":"v1","kind":"Binding","metadata":{"name":"g-0","annotations":{
    "berth.dev/devices":"{\"nvidia.com/gpu\":[{\"id\":\"gpu-1\",\"milli\":1000}]}"}},"target":{"kind":"Node","name":"n1"}})"));
  ASSERT_TRUE(bound) << bound.error().to_string();
  start();
  ASSERT_TRUE(eventually([&] { return node_of("g-1") == "n1"; })) << explain("g-1");
  EXPECT_THAT(annotation("pods", "g-1", "berth.dev/devices"), HasSubstr("gpu-0"));
  ASSERT_TRUE(eventually([&] { return annotation("podgroups", "g", "berth.dev/intent").empty(); }));
}

TEST_F(SchedulerTest, HigherPriorityTakesTheDevicesAndNobodyElseGetsThem) {
  priorities();
  start();
  pod("low", 2, "", R"(,"priorityClassName":"low")");
  ASSERT_TRUE(eventually([&] { return node_of("low") == "n1"; }));
  run("low");
  pod("high", 2, "", R"(,"priorityClassName":"high")");
  ASSERT_TRUE(eventually([&] {
    return find(*get("pods", "low"), {"metadata", "deletionTimestamp"}) != nullptr;
  })) << explain("high");
  EXPECT_EQ(condition("low", "DisruptionTarget", "reason"), "PreemptionByBerth");
  EXPECT_EQ(condition("low", "DisruptionTarget", "message"),
            "Preempted by Berth for default/high, for higher priority");
  ASSERT_TRUE(eventually([&] {
    return condition("high", "PodScheduled", "message")
               .find("it starts when default/low has stopped") != std::string::npos;
  })) << explain("high");
  EXPECT_NE(annotation("pods", "high", "berth.dev/claim"), "");
  pod("thief", 1, "", R"(,"priorityClassName":"low")");
  kill("low");
  ASSERT_TRUE(eventually([&] { return node_of("high") == "n1"; }));
  EXPECT_EQ(node_of("thief"), "");
  ASSERT_TRUE(eventually([&] { return annotation("pods", "high", "berth.dev/claim").empty(); }));
}

TEST_F(SchedulerTest, ADisruptionBudgetThatDelaysIsNamed) {
  priorities();
  start();
  pod("low", 2, R"(,"labels":{"app":"x"})", R"(,"priorityClassName":"low")");
  ASSERT_TRUE(eventually([&] { return node_of("low") == "n1"; }));
  run("low");
  create(
      "poddisruptionbudgets",
      R"({"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"keep"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"x"}}}})");
  pod("high", 2, "", R"(,"priorityClassName":"high")");
  ASSERT_TRUE(eventually([&] {
    return condition("high", "PodScheduled", "message").find("cannot stop yet") !=
           std::string::npos;
  })) << condition("high", "PodScheduled", "message");
  EXPECT_EQ(find(*get("pods", "low"), {"metadata", "deletionTimestamp"}), nullptr);
}

TEST_F(SchedulerTest, DisruptionBudgetsReachDecisions) {
  start();
  create(
      "poddisruptionbudgets",
      R"({"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"keep"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"x"}}}})");
  const auto journalled = [&](std::string_view text) {
    std::string all;
    for (const auto& file : std::filesystem::directory_iterator(journal())) {
      std::ifstream in(file.path());
      all.append(std::istreambuf_iterator<char>(in), {});
    }
    return all.find(text) != std::string::npos;
  };
  const auto says = [&](std::string_view text) {
    return eventually([&] {
      pod("tick" + std::to_string(++ticks_), 0);  // so that there is a cycle
      return journalled(text);
    });
  };
  EXPECT_TRUE(says(R"("disruptionBudget":{"name":"default/keep","ns":"default")"));
  patch("poddisruptionbudgets", "default", "keep", "status",
        R"({"status":{"disruptionsAllowed":1}})");
  EXPECT_TRUE(says(R"("allowed":1)"));
  ASSERT_TRUE(api_->remove(at("poddisruptionbudgets", "keep")));
  EXPECT_TRUE(says(R"("disruptionBudgetRemove":{"name":"default/keep"})"));
}

TEST_F(SchedulerTest, QueuesLimitAndTellWhatTheyUse) {
  create(
      "queues",
      R"({"apiVersion":"berth.dev/v1alpha1","kind":"Queue","metadata":{"name":"small"},"spec":{"limit":{"nvidia.com/gpu":"1"}}})");
  start();
  pod("a", 1, R"(,"labels":{"berth.dev/queue":"small"})");
  ASSERT_TRUE(eventually([&] { return node_of("a") == "n1"; }));
  pod("b", 1, R"(,"labels":{"kueue.x-k8s.io/queue-name":"small"})");
  ASSERT_TRUE(eventually([&] { return !condition("b", "PodScheduled", "message").empty(); }));
  EXPECT_THAT(condition("b", "PodScheduled", "message"),
              HasSubstr("queue small is limited to 1 nvidia.com/gpu; it uses 1"));
  pod("c", 1, R"(,"labels":{"berth.dev/queue":"nowhere"})");
  ASSERT_TRUE(eventually([&] { return !condition("c", "PodScheduled", "message").empty(); }));
  EXPECT_THAT(condition("c", "PodScheduled", "message"), HasSubstr("its queue does not exist"));
}

TEST_F(SchedulerTest, HowLongWorkTookSurvivesARestart) {
  const auto learned = [&]() -> size_t {
    const SharedJson queue = get("queues", "default");
    const JsonArray& owners = find_array(*queue, {"status", "learnedDurations"});
    return owners.empty() ? 0 : find_array(owners.front(), {"milliseconds"}).size();
  };
  const auto complete = [&](const std::string& name) {
    pod(name, 1, R"(,"labels":{"app":"trainer"})", R"(,"restartPolicy":"Never")");
    ASSERT_TRUE(eventually([&] { return node_of(name) == "n1"; }));
    patch("pods", "default", name, "status",
          R"({"status":{"phase":"Running","startTime":"2026-01-01T00:00:00Z"}})");
    patch("pods", "default", name, "status", R"({"status":{"phase":"Succeeded"}})");
  };
  start();
  complete("a");
  complete("b");
  ASSERT_TRUE(eventually([&] { return learned() == 2; }));
  scheduler_.reset();
  start();
  complete("c");
  ASSERT_TRUE(eventually([&] { return learned() == 3; }));
}

TEST_F(SchedulerTest, ItsJournalReplays) {
  priorities();
  start();
  pod("low", 2, "", R"(,"priorityClassName":"low")");
  ASSERT_TRUE(eventually([&] { return node_of("low") == "n1"; }));
  run("low");
  pod("high", 1, "", R"(,"priorityClassName":"high")");
  ASSERT_TRUE(eventually(
      [&] { return find(*get("pods", "low"), {"metadata", "deletionTimestamp"}) != nullptr; }));
  kill("low");
  ASSERT_TRUE(eventually([&] { return node_of("high") == "n1"; }));
  scheduler_->stop();
  expect_journal_replays();
}

TEST_F(SchedulerTest, ItPlacesByMeasuredUse) {
  node("n2");
  pod("asks", 0);  // n1 is the first, and from now on has more requests
  start("least-used");
  ASSERT_TRUE(eventually([&] { return node_of("asks") == "n1"; })) << explain("asks");
  run("asks");
  scheduler_->add_usage({{"n1", 20, 20, -1}, {"n2", 950, 300, -1}});
  pod("new", 0);
  ASSERT_TRUE(eventually([&] { return !node_of("new").empty(); })) << explain("new");
  EXPECT_EQ(node_of("new"), "n1") << "n2 is busy, though nobody asked for it";
  scheduler_->add_usage({{"n1", 900, 20, -1}, {"n2", 10, 10, -1}});
  pod("newer", 0);
  ASSERT_TRUE(eventually([&] { return !node_of("newer").empty(); })) << explain("newer");
  EXPECT_EQ(node_of("newer"), "n2");
  scheduler_->stop();
  EXPECT_THAT(lines_with("\"usage\":{\"samples\":[{\"node\":\"n1\",\"cpu_permille\":20"),
              testing::SizeIs(1));
  expect_journal_replays();
}

TEST_F(SchedulerTest, ItIsConfiguredAnewWhileItRuns) {
  node("n2");
  create(
      "queues",
      R"({"apiVersion":"berth.dev/v1alpha1","kind":"Queue","metadata":{"name":"own"},"spec":{"protection":"7s"}})");
  start("pack");
  pod("a", 0);
  ASSERT_TRUE(eventually([&] { return node_of("a") == "n1"; }));
  SchedulerConfiguration changed;
  changed.policy.profile = "spread";
  changed.policy.accelerator_weights_milli = {{"H100", 8000}};
  changed.policy.default_times.protection = Duration::seconds(9);
  changed.default_reclaim = core::Reclaim::kGuarantee;
  ASSERT_TRUE(scheduler_->configure(changed));
  pod("b", 0);
  ASSERT_TRUE(eventually([&] { return !node_of("b").empty(); }));
  EXPECT_EQ(node_of("b"), "n2");

  changed.policy.profile = "no-such";
  const auto refused = scheduler_->configure(changed);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("no-such"));
  pod("c", 0, "", R"(,"nodeSelector":{"none":"such"})");
  ASSERT_TRUE(eventually([&] { return !condition("c", "PodScheduled", "message").empty(); }));

  scheduler_->stop();
  EXPECT_THAT(lines_with("\"policy\":{\"profile\":\"spread\""), testing::SizeIs(1));
  const auto told = lines_with("\"queue\":{\"name\":\"own\"");
  ASSERT_FALSE(told.empty());
  EXPECT_THAT(told.back(), HasSubstr("\"protection\":7000000000")) << "its own";
  EXPECT_THAT(told.back(), HasSubstr("\"reclaim\":1")) << "the new default";
  expect_journal_replays();
}

TEST_F(SchedulerTest, RefusesAFolderThatCannotBe) {
  std::ofstream(folder_.path() / "file") << "x";
  const auto started = Scheduler::start({.client = server_->client(),
                                         .clock = clock_,
                                         .journal_dir = folder_.path() / "file" / "journal"});
  EXPECT_FALSE(started);
}

}  // namespace
}  // namespace berth::bridge
