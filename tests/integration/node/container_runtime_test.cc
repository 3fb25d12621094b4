#include "node/runtime/container_runtime.h"

#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <signal.h>

#include "node/cgroup/cgroup_tree.h"
#include "node/runtime/directory_watcher.h"
#include "node/runtime/oci_spec.h"
#include "tests/integration/node/sandbox.h"

namespace berth::node {
namespace {

class ContainerRuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = testing::missing(); !why.empty()) GTEST_SKIP() << why;
    sandbox_ = std::make_unique<testing::Sandbox>();
    runtime_ = open();
  }
  void TearDown() override {
    if (runtime_ == nullptr) return;
    const auto left = runtime_->list();
    ASSERT_TRUE(left);
    for (const auto& found : *left) EXPECT_TRUE(runtime_->remove(found.id));
    EXPECT_TRUE(runtime_->list()->empty());
    runtime_ = nullptr;
    const auto tree = CgroupTree::detect(*read_file("/proc/self/mountinfo"));
    EXPECT_TRUE(tree->remove(fmt::format("/berth-test-{}", ::getpid())));
  }

  std::unique_ptr<ContainerRuntime> open() {
    ContainerRuntime::Options options;
    options.state_dir = sandbox_->path() + "/run";
    options.exit_dir = sandbox_->path() + "/exits";
    auto opened = ContainerRuntime::open(options);
    EXPECT_TRUE(opened) << opened.error().to_string();
    return std::make_unique<ContainerRuntime>(*std::move(opened));
  }

  OciContainer busybox(std::vector<std::string> args) {
    OciContainer c;
    const auto root =
        ensure_overlay(sandbox_->busybox(), fmt::format("{}/c{}", sandbox_->path(), ++count_));
    EXPECT_TRUE(root) << root.error().to_string();
    c.rootfs = *root;
    c.args = std::move(args);
    c.env = {"PATH=/bin"};
    c.capabilities = default_capabilities();
    c.hostname = "pod-a";
    c.network = OciNamespace::host();
    c.cgroup_path = fmt::format("/berth-test-{}/c{}", ::getpid(), count_);
    return c;
  }

  ContainerRuntime::Launch launch(const std::string& id, const OciContainer& c) {
    auto spec = oci_spec(c);
    EXPECT_TRUE(spec) << spec.error().to_string();
    return {id,   sandbox_->path() + "/b-" + id, sandbox_->path() + "/" + id + ".log", *spec, false,
            false};
  }

  /// Runs to the end; the exit code.
  std::string run(const std::string& id, const OciContainer& c) {
    const auto l = launch(id, c);
    const auto created = runtime_->ensure_created(l);
    EXPECT_TRUE(created) << created.error().to_string();
    const auto started = runtime_->ensure_started(id);
    EXPECT_TRUE(started) << started.error().to_string();
    const std::string exit = sandbox_->path() + "/exits/" + id;
    EXPECT_TRUE(testing::eventually([&] { return read_file(exit).has_value(); }));
    return read_file(exit).value_or("none");
  }
  /// How many conmon processes this container has.
  int monitors(const std::string& id) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string words = read_file(entry.path() / "cmdline").value_or("");
      count += words.find(std::string("conmon\0", 7)) < 20 &&
               words.find(std::string("\0-c\0", 4) + id + '\0') != std::string::npos &&
               words.find(sandbox_->path()) != std::string::npos;
    }
    return count;
  }
  std::string log(const std::string& id) {
    return read_file(sandbox_->path() + "/" + id + ".log").value_or("");
  }

  std::unique_ptr<testing::Sandbox> sandbox_;
  std::unique_ptr<ContainerRuntime> runtime_;
  int count_ = 0;
};

TEST_F(ContainerRuntimeTest, ExitCodeAndLogAreKept) {
  EXPECT_EQ(run("a", busybox({"sh", "-c", "echo hello; echo oops >&2; exit 3"})), "3");
  EXPECT_NE(log("a").find(" stdout F hello\n"), std::string::npos);
  EXPECT_NE(log("a").find(" stderr F oops\n"), std::string::npos);
}

TEST_F(ContainerRuntimeTest, TheDefaultsConfine) {
  EXPECT_EQ(run("a", busybox({"sh", "-c",
                              "hostname; touch /x; mount -t tmpfs t /tmp; mknod /dev/k c 1 11;"
                              "cat /proc/kcore | head -c1 | wc -c; ls /dev | tr '\\n' ' ';"
                              "grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status;"
                              "echo > /proc/sys/kernel/hostname; echo $$"})),
            "0");
  const std::string text = log("a");
  for (const char* expected :
       {"F pod-a\n", "/x: Read-only file system", "mount: permission denied", "F 0\n",
        "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t00000000a80425fb",
        "can't create /proc/sys/kernel/hostname: Read-only file system", "F 1\n"})
    EXPECT_NE(text.find(expected), std::string::npos) << expected << " in\n" << text;
  EXPECT_EQ(text.find("kmsg"), std::string::npos);
}

TEST_F(ContainerRuntimeTest, AnotherUserHasNoCapabilities) {
  OciContainer c = busybox({"sh", "-c", "id -u; id -g; grep CapEff /proc/self/status"});
  c.uid = 1234;
  c.gid = 2345;
  EXPECT_EQ(run("a", c), "0");
  for (const char* expected : {"F 1234\n", "F 2345\n", "CapEff:\t0000000000000000"})
    EXPECT_NE(log("a").find(expected), std::string::npos) << log("a");
}

TEST_F(ContainerRuntimeTest, AWritableRootLeavesTheImageAlone) {
  OciContainer c = busybox({"sh", "-c", "echo x > /made && cat /made"});
  c.read_only_root = false;
  EXPECT_EQ(run("a", c), "0");
  EXPECT_FALSE(read_file(sandbox_->busybox() + "/made"));
}

TEST_F(ContainerRuntimeTest, EveryCallMayBeRepeated) {
  const auto l = launch("a", busybox({"sleep", "100"}));
  ASSERT_TRUE(runtime_->ensure_created(l));
  const auto second = runtime_->ensure_created(l);
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(runtime_->list()->at(0).phase, ContainerRuntime::Phase::kCreated);
  EXPECT_TRUE(runtime_->ensure_started("a"));
  EXPECT_TRUE(runtime_->ensure_started("a"));
  EXPECT_EQ(runtime_->ensure_created(l), second);
  EXPECT_EQ(runtime_->list()->at(0).phase, ContainerRuntime::Phase::kRunning);
  EXPECT_TRUE(runtime_->signal("a", SIGKILL));
  ASSERT_TRUE(testing::eventually(
      [&] { return read_file(sandbox_->path() + "/exits/a") == std::string("137"); }));
  EXPECT_TRUE(runtime_->signal("a", SIGTERM));
  EXPECT_TRUE(runtime_->remove("a"));
  EXPECT_TRUE(runtime_->remove("a"));
  EXPECT_TRUE(runtime_->signal("a", SIGTERM));
}

TEST_F(ContainerRuntimeTest, WhatWasNeverStartedIsMadeAnewWithOneMonitor) {
  const auto l = launch("a", busybox({"sh", "-c", "sleep 1; exit 3"}));
  const auto first = runtime_->ensure_created(l);
  ASSERT_TRUE(first) << first.error().to_string();
  runtime_ = open();
  const auto second = runtime_->ensure_created(l);
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_NE(first, second);
  EXPECT_EQ(monitors("a"), 1);
  ASSERT_TRUE(runtime_->ensure_started("a"));
  const std::string exit = sandbox_->path() + "/exits/a";
  ASSERT_TRUE(testing::eventually([&] { return read_file(exit).has_value(); }));
  EXPECT_EQ(read_file(exit), "3");
}

TEST_F(ContainerRuntimeTest, WhatDiedBeforeItsStartWasNeverStarted) {
  const auto pid = runtime_->ensure_created(launch("a", busybox({"true"})));
  ASSERT_TRUE(pid && *pid > 0);
  ::kill(*pid, SIGKILL);
  ASSERT_TRUE(testing::eventually([&] { return monitors("a") == 0; }));
  EXPECT_EQ(runtime_->list()->at(0).phase, ContainerRuntime::Phase::kCreated);
}

TEST_F(ContainerRuntimeTest, NothingOfARemovedContainerComesBack) {
  const std::string exit = sandbox_->path() + "/exits/a";
  for (const bool started : {false, true}) {
    ASSERT_TRUE(runtime_->ensure_created(launch("a", busybox({"sleep", "100"}))));
    if (started) {
      ASSERT_TRUE(runtime_->ensure_started("a"));
    }
    EXPECT_TRUE(runtime_->remove("a"));
    EXPECT_EQ(monitors("a"), 0) << "a monitor writes an exit code at its end";
    EXPECT_FALSE(read_file(exit).has_value());
  }
}

/// Berth was killed between the start of conmon and conmon's start of runc.
TEST_F(ContainerRuntimeTest, AMonitorThatHasNotCreatedYetIsStopped) {
  const auto l = launch("a", busybox({"true"}));
  ASSERT_TRUE(make_directories(l.bundle));
  int gate[2];
  ASSERT_EQ(::pipe(gate), 0);
  platform::ProcessOptions conmon;
  conmon.argv = {"conmon",
                 "--api-version",
                 "1",
                 "-c",
                 "a",
                 "-u",
                 "a",
                 "-r",
                 "/usr/sbin/runc",
                 "-b",
                 l.bundle,
                 "-p",
                 l.bundle + "/pid",
                 "--exit-dir",
                 sandbox_->path() + "/exits",
                 "-l",
                 "k8s-file:" + l.log_path,
                 "--runtime-arg",
                 "--root=" + sandbox_->path() + "/run/runc"};
  conmon.env.push_back(fmt::format("_OCI_STARTPIPE={}", gate[0]));
  conmon.keep = {{gate[0], gate[0]}};
  const auto early = platform::spawn_process(conmon);
  ASSERT_TRUE(early) << early.error().to_string();
  ASSERT_TRUE(testing::eventually([&] { return monitors("a") == 1; }));
  EXPECT_TRUE(runtime_->remove("a"));
  EXPECT_EQ(monitors("a"), 0);
  EXPECT_TRUE(platform::wait_process(*early, Duration::seconds(10)));
  ::close(gate[0]);
  ::close(gate[1]);
}

TEST_F(ContainerRuntimeTest, AnotherRuntimeObjectFindsItAndItsExit) {
  const auto l = launch("a", busybox({"sh", "-c", "trap 'exit 5' TERM; sleep 100 & wait"}));
  ASSERT_TRUE(runtime_->ensure_created(l));
  ASSERT_TRUE(runtime_->ensure_started("a"));
  runtime_ = open();
  EXPECT_EQ(runtime_->list()->at(0).phase, ContainerRuntime::Phase::kRunning);
  std::mutex mutex;
  std::set<std::string> seen;
  const auto watcher =
      DirectoryWatcher::start(sandbox_->path() + "/exits", [&](const std::string& name) {
        const std::lock_guard lock(mutex);
        seen.insert(name);
      });
  ASSERT_TRUE(watcher);
  ASSERT_TRUE(testing::eventually(
      [&] { return runtime_->exec("a", {"true"}, Duration::seconds(5))->exit_code == 0; }));
  EXPECT_TRUE(runtime_->signal("a", SIGTERM));
  EXPECT_TRUE(testing::eventually([&] {
    const std::lock_guard lock(mutex);
    return seen.contains("a");
  }));
  EXPECT_EQ(read_file(sandbox_->path() + "/exits/a"), "5");
}

TEST_F(ContainerRuntimeTest, ExecHasExitCodeOutputAndTimeout) {
  ASSERT_TRUE(runtime_->ensure_created(launch("a", busybox({"sleep", "100"}))));
  ASSERT_TRUE(runtime_->ensure_started("a"));
  const auto result = runtime_->exec("a", {"sh", "-c", "echo hi; exit 4"}, Duration::seconds(10));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 4);
  EXPECT_EQ(result->output, "hi\n");
  const auto slow = runtime_->exec("a", {"sleep", "77"}, Duration::milliseconds(300));
  EXPECT_TRUE(slow->timed_out);
  const auto left = runtime_->exec("a", {"ps"}, Duration::seconds(10));
  EXPECT_EQ(left->output.find("sleep 77"), std::string::npos) << left->output;
}

TEST_F(ContainerRuntimeTest, AMissingProgramIsSaidAndNothingStays) {
  const auto created = runtime_->ensure_created(launch("a", busybox({"/no/such"})));
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().what.find("/no/such"), std::string::npos) << created.error().what;
  EXPECT_TRUE(runtime_->list()->empty());
}

TEST_F(ContainerRuntimeTest, TheLogCanBeMovedAway) {
  const auto l = launch("a", busybox({"sh", "-c", "while :; do echo tick; sleep 0.05; done"}));
  ASSERT_TRUE(runtime_->ensure_created(l));
  ASSERT_TRUE(runtime_->ensure_started("a"));
  ASSERT_TRUE(testing::eventually([&] { return log("a").find("tick") != std::string::npos; }));
  ASSERT_EQ(::rename(l.log_path.c_str(), (l.log_path + ".1").c_str()), 0);
  const auto reopened = runtime_->reopen_log(l.bundle);
  EXPECT_TRUE(reopened) << reopened.error().to_string();
  EXPECT_TRUE(testing::eventually([&] { return log("a").find("tick") != std::string::npos; }));
}

TEST_F(ContainerRuntimeTest, PodNamespacesAreShared) {
  ASSERT_TRUE(ensure_pod_namespaces(sandbox_->path() + "/ns", "the-pod"));
  ASSERT_TRUE(ensure_pod_namespaces(sandbox_->path() + "/ns", "the-pod"));
  OciContainer c = busybox({"sh", "-c", "hostname; readlink /proc/self/ns/ipc"});
  c.ipc = OciNamespace::join(sandbox_->path() + "/ns/ipc");
  c.uts = OciNamespace::join(sandbox_->path() + "/ns/uts");
  EXPECT_EQ(run("a", c), "0");
  OciContainer d = busybox(c.args);
  d.ipc = c.ipc;
  d.uts = c.uts;
  EXPECT_EQ(run("b", d), "0");
  EXPECT_NE(log("a").find("F the-pod\n"), std::string::npos);
  const auto ns = [](const std::string& text) { return text.substr(text.find("ipc:[")); };
  EXPECT_EQ(ns(log("a")), ns(log("b")));
}

}  // namespace
}  // namespace berth::node
