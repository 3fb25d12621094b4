#include <filesystem>

#include <signal.h>

#include "node/pod/machine/pod_record.h"
#include "node/pod/pod_paths.h"
#include "node/runtime/oci_spec.h"
#include "tests/integration/node/agent_fixture.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_int;
using objects::find_string;
using testing::AgentTest;
using testing::eventually;
using testing::kNever;

TEST_F(AgentTest, AnotherAgentAdoptsWhatRunsAndLosesNoExitCode) {
  api_.apply("pods", pod("stays", "echo started; sleep 100"));
  api_.apply("pods", pod("ends", "until test -e /hp/go; do sleep 0.05; done; exit 7",
                         R"("volumeMounts":[{"name":"hp","mountPath":"/hp"}])",
                         fmt::format(R"({},"volumes":[{{"name":"hp","hostPath":{{"path":"{}"}}}}])",
                                     kNever, sandbox_->path())));
  ASSERT_TRUE(is_phase("stays", "Running"));
  ASSERT_TRUE(is_phase("ends", "Running")) << events("ends");
  const std::string before = boost::json::serialize(container("stays"));
  agent_.reset();
  // While nobody watches, one of them ends.
  ASSERT_TRUE(write_file_atomically(sandbox_->path() + "/go", ""));
  ASSERT_TRUE(eventually([&] {
    return ::access((sandbox_->path() + "/run/exits/" + container_id(uid("ends"), "c", 0)).c_str(),
                    F_OK) == 0;
  }));
  start();
  ASSERT_TRUE(is_phase("ends", "Failed"));
  EXPECT_EQ(find_int(terminated("ends"), {"exitCode"}), 7);
  EXPECT_EQ(boost::json::serialize(container("stays")), before);
  EXPECT_EQ(log("stays"), "started\n");
}

/// An agent was killed after it had created a container and before it had started it.
class HalfStartedTest : public AgentTest {
 protected:
  /// A pod as it lies on disk then, with its container made from another script.
  pid_t half_start(const std::string& name, const std::string& script) {
    agent_.reset();
    const Json object = pod(name, script, "", kNever);
    api_.apply("pods", object);
    const auto spec = read_pod(object);
    EXPECT_TRUE(spec);
    PodState record = new_record(*spec, clock_.now());
    record.regular[0].stage = Stage::kStarting;
    const PodPaths paths(data(), spec->uid);
    EXPECT_TRUE(make_directories(paths.root));
    EXPECT_TRUE(write_file_atomically(paths.object(), boost::json::serialize(object)));
    EXPECT_TRUE(write_file_atomically(paths.state(), boost::json::serialize(to_json(record))));
    ContainerRuntime::Options options;
    options.state_dir = sandbox_->path() + "/run";
    options.exit_dir = sandbox_->path() + "/run/exits";
    const auto runtime = ContainerRuntime::open(options);
    OciContainer container;
    container.rootfs = sandbox_->busybox();
    container.args = {"/bin/sh", "-c", "exit 99"};
    container.hostname = "pod";
    container.network = OciNamespace::host();
    container.cgroup_path = cgroup_root() + "/half";
    const std::string id = container_id(spec->uid, "c", 0);
    const auto pid =
        runtime->ensure_created({id, paths.attempt("c", 0) + "/bundle",
                                 sandbox_->path() + "/half.log", *oci_spec(container)});
    EXPECT_TRUE(pid) << pid.error().to_string();
    return pid.value_or(0);
  }
  void expect_success(const std::string& name) {
    start();
    ASSERT_TRUE(eventually([&] { return phase(name) == "Succeeded" || phase(name) == "Failed"; }));
    EXPECT_EQ(find_string(terminated(name), {"reason"}), "Completed")
        << boost::json::serialize(status(name));
    EXPECT_EQ(log(name), "ran\n");
  }
};

TEST_F(HalfStartedTest, ACreatedContainerIsMadeAnewAndRuns) {
  half_start("a", "echo ran");
  expect_success("a");
}

TEST_F(HalfStartedTest, AContainerThatDiedBeforeItsStartRuns) {
  const pid_t pid = half_start("a", "echo ran");
  ASSERT_GT(pid, 0);
  ::kill(pid, SIGKILL);
  const std::string exit = sandbox_->path() + "/run/exits/" + container_id(uid("a"), "c", 0);
  ASSERT_TRUE(eventually([&] { return read_file(exit).has_value(); }));
  expect_success("a");
}

TEST_F(HalfStartedTest, AContainerWhoseCreationWasCutRuns) {
  half_start("a", "echo ran");
  const std::string id = container_id(uid("a"), "c", 0);
  ContainerRuntime::Options options;
  options.state_dir = sandbox_->path() + "/run";
  options.exit_dir = sandbox_->path() + "/run/exits";
  ASSERT_TRUE(ContainerRuntime::open(options)->remove(id));
  // What a runc leaves that was killed before it had written its state.
  ASSERT_TRUE(make_directories(options.state_dir + "/runc/" + id));
  const std::string bundle = PodPaths(data(), uid("a")).attempt("c", 0) + "/bundle";
  ASSERT_TRUE(write_file_atomically(bundle + "/.pid", ""));
  expect_success("a");
}

TEST_F(AgentTest, APodDeletedWhileNobodyWatchesIsRemoved) {
  api_.apply("pods", pod("a", "sleep 100"));
  ASSERT_TRUE(is_phase("a", "Running"));
  agent_.reset();
  client::DeleteOptions options;
  options.grace = Duration{};
  api_.remove({{"", "v1", "pods"}, "ns", "a", {}}, options, [](auto) {});
  ASSERT_TRUE(eventually([&] { return status("a").is_null(); }));
  start();
  EXPECT_TRUE(eventually([&] { return std::filesystem::is_empty(data() + "/pods"); }));
}

}  // namespace
}  // namespace berth::node
