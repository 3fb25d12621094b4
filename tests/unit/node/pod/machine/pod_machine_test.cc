#include "node/pod/machine/pod_machine.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

namespace berth::node {
namespace {

using objects::find_array;
using objects::find_int;
using objects::find_string;

/// Writes down what the machine asks for, one word list a call.
class Recorder : public PodActions {
 public:
  void prepare_pod() override { add("prepare"); }
  void pull_image(const std::string& c) override { add("pull " + c); }
  void start_container(const std::string& c, int n) override {
    add(fmt::format("start {} {}", c, n));
  }
  void signal_container(const std::string& c, int n, int signal) override {
    add(fmt::format("signal {} {} {}", c, n, signal));
  }
  void force_remove(const std::string& c, int n) override { add(fmt::format("force {} {}", c, n)); }
  void discard(const std::string& c, int n) override { add(fmt::format("discard {} {}", c, n)); }
  void run_probe(const std::string& c, int, ProbeKind kind) override {
    add(fmt::format("probe {} {}", c, static_cast<int>(kind)));
  }
  void run_hook(const std::string& c, int, HookKind kind, Duration) override {
    add(fmt::format("hook {} {}", c, kind == HookKind::kPostStart ? "post" : "pre"));
  }
  void resize(const std::string& c, int, const ContainerSpec&) override { add("resize " + c); }
  void tear_down() override { add("teardown"); }
  void delete_object() override { add("delete"); }
  void publish(Json status) override { shown = std::move(status); }
  void persist(Json record) override { kept = std::move(record); }
  void record_event(bool, const std::string&, const std::string& reason,
                    const std::string&) override {
    events += reason + " ";
  }

  std::string take() { return std::exchange(calls, {}); }
  void add(const std::string& call) { calls += (calls.empty() ? "" : "; ") + call; }

  std::string calls;
  std::string events;
  Json shown;
  Json kept;
};

class PodMachineTest : public ::testing::Test {
 protected:
  void make(const std::string& spec, const std::string& meta = "") {
    spec_ = spec;
    pod_ = parse(meta);
    machine_ =
        std::make_unique<PodMachine>(pod_, new_record(pod_, now_), PodMachine::Options{}, actions_);
    machine_->on_admitted(now_);
  }
  PodSpec parse(const std::string& meta = "") {
    auto pod = read_pod(boost::json::parse(
        fmt::format(R"({{"metadata":{{"namespace":"ns","name":"p","uid":"ab"{}}},"spec":{{{}}}}})",
                    meta.empty() ? "" : "," + meta, spec_)));
    EXPECT_TRUE(pod) << pod.error().to_string();
    return *pod;
  }
  void prepared() { machine_->on_prepared(std::vector<std::string>{"10.0.0.2"}, "", now_); }
  void image(const std::string& c) {
    machine_->on_image(c, PodMachine::Image{c, "sha256:1", false, {}}, now_);
  }
  void started(const std::string& c, int attempt) {
    StartOutcome out;
    out.started_at = now_;
    machine_->on_started(c, attempt, out, now_);
  }
  void exited(const std::string& c, int attempt, int code) {
    ExitOutcome out;
    out.exit_code = code;
    out.finished_at = now_;
    machine_->on_exited(c, attempt, out, now_);
  }
  /// From nothing to running, for containers without init containers before them.
  void run(const std::string& c, int attempt) {
    image(c);
    started(c, attempt);
  }
  void pass(Duration d) {
    now_ = now_ + d;
    machine_->on_wake(now_);
  }
  std::string take() { return actions_.take(); }
  std::string phase() { return std::string(find_string(actions_.shown, {"phase"})); }
  Json shown(size_t i = 0) { return find_array(actions_.shown, {"containerStatuses"}).at(i); }
  std::string condition(std::string_view type) {
    for (const Json& c : find_array(actions_.shown, {"conditions"}))
      if (find_string(c, {"type"}) == type) return std::string(find_string(c, {"status"}));
    return "none";
  }

  Time now_{1'700'000'000'000'000'000};
  Recorder actions_;
  std::string spec_;
  PodSpec pod_;
  std::unique_ptr<PodMachine> machine_;
};

constexpr const char* kOne = R"("containers":[{"name":"a","image":"i"}])";

TEST_F(PodMachineTest, PreparesPullsStartsRuns) {
  make(kOne);
  EXPECT_EQ(take(), "prepare");
  EXPECT_EQ(phase(), "Pending");
  EXPECT_EQ(find_string(shown(), {"state", "waiting", "reason"}), "ContainerCreating");
  prepared();
  EXPECT_EQ(take(), "pull a");
  image("a");
  EXPECT_EQ(take(), "start a 0");
  EXPECT_EQ(find_string(find_array(actions_.kept, {"regular"}).at(0), {"stage"}), "starting");
  started("a", 0);
  EXPECT_EQ(phase(), "Running");
  EXPECT_EQ(condition("Ready"), "True");
  EXPECT_EQ(find_string(actions_.shown, {"podIP"}), "10.0.0.2");
  EXPECT_EQ(take(), "");
}

TEST_F(PodMachineTest, AVolumeThatIsNotAllowedIsToldFromOneThatIsLate) {
  make(kOne);
  machine_->on_prepared(fail(ErrorCode::kForbidden, "not allowed"), "FailedMount", now_);
  EXPECT_EQ(find_string(shown(), {"state", "waiting", "reason"}), "VolumeForbidden");
  EXPECT_EQ(find_string(shown(), {"state", "waiting", "message"}), "not allowed");
  machine_->on_prepared(fail(ErrorCode::kNotFound, "no such secret"), "FailedMount", now_);
  EXPECT_EQ(find_string(shown(), {"state", "waiting", "reason"}), "ContainerCreating");
}

TEST_F(PodMachineTest, InitContainersGoOneByOne) {
  make(R"("initContainers":[{"name":"x"},{"name":"y"}],"containers":[{"name":"a"},{"name":"b"}])");
  prepared();
  EXPECT_EQ(take(), "prepare; pull x");
  run("x", 0);
  exited("x", 0, 0);
  EXPECT_EQ(take(), "start x 0; pull y");
  EXPECT_EQ(condition("Initialized"), "False");
  run("y", 0);
  exited("y", 0, 0);
  EXPECT_EQ(take(), "start y 0; pull a; pull b");
  run("a", 0);
  EXPECT_EQ(condition("Initialized"), "True");
  EXPECT_EQ(phase(), "Pending");
  run("b", 0);
  EXPECT_EQ(phase(), "Running");
}

TEST_F(PodMachineTest, ASidecarStartsFirstAndEndsLast) {
  make(R"("restartPolicy":"Never","initContainers":[{"name":"s","restartPolicy":"Always"}],
          "containers":[{"name":"a"}])");
  prepared();
  run("s", 0);
  EXPECT_EQ(take(), "prepare; pull s; start s 0; pull a");
  run("a", 0);
  exited("a", 0, 0);
  EXPECT_EQ(take(), fmt::format("start a 0; signal s 0 {}", SIGTERM));
  EXPECT_EQ(phase(), "Running");
  exited("s", 0, 143);
  EXPECT_EQ(take(), "teardown");
  EXPECT_EQ(phase(), "Succeeded");
}

struct RestartCase {
  const char* policy;
  int exit_code;
  const char* calls;
  const char* phase;
};
class RestartTest : public PodMachineTest, public ::testing::WithParamInterface<RestartCase> {};
TEST_P(RestartTest, FollowsThePolicy) {
  const RestartCase& c = GetParam();
  make(fmt::format(R"("restartPolicy":"{}",{})", c.policy, kOne));
  prepared();
  run("a", 0);
  take();
  exited("a", 0, c.exit_code);
  EXPECT_EQ(take(), c.calls);
  EXPECT_EQ(phase(), c.phase);
}
INSTANTIATE_TEST_SUITE_P(
    Policies, RestartTest,
    ::testing::Values(RestartCase{"Always", 0, "discard a 0; pull a", "Running"},
                      RestartCase{"Always", 1, "discard a 0; pull a", "Running"},
                      RestartCase{"OnFailure", 1, "discard a 0; pull a", "Running"},
                      RestartCase{"OnFailure", 0, "teardown", "Succeeded"},
                      RestartCase{"Never", 0, "teardown", "Succeeded"},
                      RestartCase{"Never", 9, "teardown", "Failed"}));

TEST_F(PodMachineTest, BackOffDoublesFromTenSecondsToFiveMinutes) {
  make(kOne);
  prepared();
  run("a", 0);
  exited("a", 0, 1);
  int attempt = 1;
  for (const int64_t seconds : {10, 20, 40, 80, 160, 300, 300}) {
    run("a", attempt);
    take();
    exited("a", attempt, 1);
    EXPECT_EQ(take(), fmt::format("discard a {}", attempt));
    EXPECT_EQ(find_string(shown(), {"state", "waiting", "reason"}), "CrashLoopBackOff");
    EXPECT_EQ(find_int(shown(), {"restartCount"}), attempt);
    EXPECT_EQ(machine_->next_wake(), now_ + Duration::seconds(seconds));
    pass(Duration::seconds(seconds) - Duration::milliseconds(1));
    EXPECT_EQ(take(), "");
    pass(Duration::milliseconds(1));
    EXPECT_EQ(take(), "pull a");
    ++attempt;
  }
}

TEST_F(PodMachineTest, ALongRunResetsTheBackOff) {
  make(kOne);
  prepared();
  run("a", 0);
  exited("a", 0, 1);
  run("a", 1);
  now_ = now_ + Duration::minutes(10);
  take();
  exited("a", 1, 1);
  EXPECT_EQ(take(), "discard a 1; pull a");
}

TEST_F(PodMachineTest, AFailedPullIsTriedAgainLater) {
  make(kOne);
  prepared();
  take();
  machine_->on_image("a", fail(ErrorCode::kUnavailable, "no answer"), now_);
  EXPECT_EQ(find_string(shown(), {"state", "waiting", "reason"}), "ImagePullBackOff");
  EXPECT_EQ(phase(), "Pending");
  pass(Duration::seconds(10));
  EXPECT_EQ(take(), "pull a");
}

TEST_F(PodMachineTest, ConfigErrorsWaitStartErrorsCount) {
  make(R"("restartPolicy":"Never","containers":[{"name":"a"}])");
  prepared();
  image("a");
  StartOutcome config;
  config.kind = StartOutcome::Kind::kConfigError;
  config.message = "configmap \"x\" not found";
  machine_->on_started("a", 0, config, now_);
  EXPECT_EQ(find_string(shown(), {"state", "waiting", "reason"}), "CreateContainerConfigError");
  take();
  pass(Duration::seconds(10));
  EXPECT_EQ(take(), "pull a");
  image("a");
  StartOutcome start;
  start.kind = StartOutcome::Kind::kStartError;
  machine_->on_started("a", 0, start, now_);
  EXPECT_EQ(find_string(shown(), {"state", "terminated", "reason"}), "StartError");
  EXPECT_EQ(phase(), "Failed");
}

TEST_F(PodMachineTest, DeletionStopsGracefullyThenByForce) {
  make(R"("terminationGracePeriodSeconds":30,"containers":[{"name":"a","lifecycle":
          {"preStop":{"exec":{"command":["x"]}}}}])");
  prepared();
  run("a", 0);
  take();
  pod_ = parse(R"("deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":30)");
  machine_->on_spec(pod_, now_);
  EXPECT_EQ(take(), "hook a pre");
  machine_->on_hook("a", 0, HookKind::kPreStop, {}, now_);
  EXPECT_EQ(take(), fmt::format("signal a 0 {}", SIGTERM));
  pass(Duration::seconds(29));
  EXPECT_EQ(take(), "");
  pass(Duration::seconds(1));
  EXPECT_EQ(take(), fmt::format("signal a 0 {}", SIGKILL));
  pass(Duration::seconds(20));
  EXPECT_EQ(take(), "force a 0");
  exited("a", 0, 137);
  EXPECT_EQ(take(), "teardown");
  EXPECT_EQ(phase(), "Failed");
  machine_->on_torn_down(now_);
  EXPECT_EQ(take(), "delete");
  EXPECT_FALSE(machine_->finished());
  machine_->on_removed(now_);
  EXPECT_TRUE(machine_->finished());
}

TEST_F(PodMachineTest, DeletionWhilePreparingAndStarting) {
  make(kOne);
  machine_->on_removed(now_);
  EXPECT_EQ(take(), "prepare");
  prepared();
  EXPECT_EQ(take(), "teardown");
  machine_->on_torn_down(now_);
  EXPECT_TRUE(machine_->finished());

  make(kOne);
  prepared();
  image("a");
  take();
  pod_ = parse(R"("deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":5)");
  machine_->on_spec(pod_, now_);
  EXPECT_EQ(take(), fmt::format("signal a 0 {}", SIGTERM));
  started("a", 0);
  EXPECT_EQ(take(), fmt::format("signal a 0 {}", SIGTERM)) << "the first came before it ran";
}

TEST_F(PodMachineTest, ProbesGateReadinessAndRestart) {
  make(R"("containers":[{"name":"a",
      "startupProbe":{"exec":{"command":["s"]},"periodSeconds":1},
      "readinessProbe":{"exec":{"command":["r"]},"periodSeconds":5},
      "livenessProbe":{"exec":{"command":["l"]},"periodSeconds":5,"failureThreshold":2}}])");
  prepared();
  run("a", 0);
  EXPECT_EQ(take(), "prepare; pull a; start a 0; probe a 0");
  EXPECT_FALSE(objects::find_bool(shown(), {"started"}));
  machine_->on_probe("a", 0, ProbeKind::kStartup, false, "no", now_);
  pass(Duration::seconds(1));
  EXPECT_EQ(take(), "probe a 0");
  machine_->on_probe("a", 0, ProbeKind::kStartup, true, "", now_);
  EXPECT_EQ(take(), "probe a 1; probe a 2");
  EXPECT_TRUE(objects::find_bool(shown(), {"started"}));
  EXPECT_EQ(condition("Ready"), "False");
  machine_->on_probe("a", 0, ProbeKind::kReadiness, true, "", now_);
  EXPECT_EQ(condition("Ready"), "True");
  machine_->on_probe("a", 0, ProbeKind::kLiveness, false, "dead", now_);
  EXPECT_EQ(take(), "");
  pass(Duration::seconds(5));
  machine_->on_probe("a", 0, ProbeKind::kLiveness, false, "dead", now_);
  EXPECT_EQ(take(), fmt::format("probe a 1; probe a 2; signal a 0 {}", SIGTERM));
  exited("a", 0, 143);
  EXPECT_EQ(take(), "discard a 0; pull a");
  EXPECT_NE(actions_.events.find("Unhealthy"), std::string::npos);
}

TEST_F(PodMachineTest, AFailedPostStartHookStopsTheContainer) {
  make(R"("restartPolicy":"Never","containers":[{"name":"a","lifecycle":
          {"postStart":{"exec":{"command":["x"]}}}}])");
  prepared();
  run("a", 0);
  EXPECT_EQ(take(), "prepare; pull a; start a 0; hook a post");
  EXPECT_FALSE(objects::find_bool(shown(), {"ready"}));
  machine_->on_hook("a", 0, HookKind::kPostStart, fail(ErrorCode::kUnavailable, "no"), now_);
  EXPECT_EQ(take(), fmt::format("signal a 0 {}", SIGTERM));
}

TEST_F(PodMachineTest, TheDeadlineFailsThePod) {
  make(
      R"("activeDeadlineSeconds":60,"terminationGracePeriodSeconds":1,"containers":[{"name":"a"}])");
  prepared();
  run("a", 0);
  take();
  EXPECT_EQ(machine_->next_wake(), now_ + Duration::seconds(60));
  pass(Duration::seconds(60));
  EXPECT_EQ(take(), fmt::format("signal a 0 {}", SIGTERM));
  exited("a", 0, 0);
  EXPECT_EQ(phase(), "Failed");
  EXPECT_EQ(find_string(actions_.shown, {"reason"}), "DeadlineExceeded");
}

TEST_F(PodMachineTest, EvictionAndRefusal) {
  make(kOne);
  prepared();
  run("a", 0);
  take();
  machine_->on_ended("Evicted", "too much", Duration{}, now_);
  EXPECT_EQ(take(), fmt::format("signal a 0 {}", SIGKILL));
  exited("a", 0, 137);
  EXPECT_EQ(phase(), "Failed");
  EXPECT_EQ(find_string(actions_.shown, {"reason"}), "Evicted");

  spec_ = kOne;
  pod_ = parse();
  machine_ =
      std::make_unique<PodMachine>(pod_, new_record(pod_, now_), PodMachine::Options{}, actions_);
  take();
  machine_->on_refused("UnexpectedAdmissionError", "taken", now_);
  EXPECT_EQ(take(), "teardown");
  EXPECT_EQ(phase(), "Failed");
}

TEST_F(PodMachineTest, AResizeIsAskedForOnceAndShown) {
  make(R"("containers":[{"name":"a","resources":{"limits":{"cpu":"1"}}}])");
  prepared();
  run("a", 0);
  take();
  spec_ = R"("containers":[{"name":"a","resources":{"limits":{"cpu":"2"}}}])";
  machine_->on_spec(parse(), now_);
  EXPECT_EQ(take(), "resize a");
  EXPECT_EQ(find_string(shown(), {"resources", "limits", "cpu"}), "1");
  machine_->on_resized("a", 0, {}, now_);
  EXPECT_EQ(find_string(shown(), {"resources", "limits", "cpu"}), "2");
  machine_->on_spec(parse(), now_);
  EXPECT_EQ(take(), "");
}

TEST_F(PodMachineTest, LateAnswersOfOldAttemptsAreIgnored) {
  make(kOne);
  prepared();
  run("a", 0);
  exited("a", 0, 1);
  run("a", 1);
  const Json before = actions_.shown;
  exited("a", 0, 9);
  machine_->on_probe("a", 0, ProbeKind::kLiveness, false, "", now_);
  EXPECT_EQ(actions_.shown, before);
}

TEST_F(PodMachineTest, ARecordSurvivesARestart) {
  make(kOne);
  prepared();
  run("a", 0);
  exited("a", 0, 1);
  run("a", 1);
  const Json before = actions_.shown;
  const auto record = record_from_json(actions_.kept, pod_, now_);
  ASSERT_TRUE(record);
  take();
  machine_ = std::make_unique<PodMachine>(pod_, *record, PodMachine::Options{}, actions_);
  machine_->on_recovered_running("a", 1, now_ + Duration::seconds(5));
  machine_->on_admitted(now_);
  EXPECT_EQ(actions_.shown, before);
  EXPECT_EQ(take(), "prepare");
  prepared();
  EXPECT_EQ(take(), "");
  exited("a", 1, 3);
  EXPECT_EQ(find_int(shown(), {"lastState", "terminated", "exitCode"}), 3);

  // Not found again: started anew, under the same attempt.
  machine_ = std::make_unique<PodMachine>(pod_, *record, PodMachine::Options{}, actions_);
  machine_->on_recovered_absent("a", 1);
  machine_->on_admitted(now_);
  prepared();
  image("a");
  EXPECT_NE(take().find("start a 1"), std::string::npos);
}

TEST_F(PodMachineTest, ThePhaseIsFinalOnlyOnceTheRecordSaysSo) {
  make(kOne + std::string(R"(,"restartPolicy":"Never")"));
  prepared();
  run("a", 0);
  const auto record = record_from_json(actions_.kept, pod_, now_);
  machine_ = std::make_unique<PodMachine>(pod_, *record, PodMachine::Options{}, actions_);
  machine_->on_recovered_running("a", 0, now_);
  machine_->on_admitted(now_);
  // It ended while nobody watched; its network and volumes are still being looked at.
  exited("a", 0, 3);
  EXPECT_FALSE(machine_->record().ended);
  EXPECT_EQ(phase(), "Running");
  prepared();
  EXPECT_TRUE(machine_->record().ended);
  EXPECT_EQ(phase(), "Failed");
}

}  // namespace
}  // namespace berth::node
