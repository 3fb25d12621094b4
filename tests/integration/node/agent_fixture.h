#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "node/agent/agent.h"
#include "node/cgroup/cgroup_tree.h"
#include "node/runtime/container_runtime.h"
#include "tests/integration/node/machine_parts.h"
#include "tests/integration/node/memory_api.h"
#include "tests/integration/node/sandbox.h"

/// An agent with real containers on a folder of its own, and an API in memory.
namespace berth::node::testing {

using objects::find;
using objects::find_array;
using objects::find_int;
using objects::find_string;

class AgentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = missing(); !why.empty()) GTEST_SKIP() << why;
    sandbox_ = std::make_unique<Sandbox>();
    ASSERT_TRUE(make_directories(data()));
    images_ = std::make_unique<TestImages>(sandbox_->busybox(), sandbox_->path() + "/host", clock_);
    start();
  }
  void TearDown() override {
    if (sandbox_ == nullptr) return;
    if (agent_) agent_->stop(Agent::StopMode::kDrain);
    agent_.reset();
    // Nothing is left behind.
    const auto mounts = mount_points_below(sandbox_->path());
    EXPECT_TRUE(mounts->empty()) << mounts->front();
    auto tree = CgroupTree::detect(*read_file("/proc/self/mountinfo"));
    EXPECT_TRUE(tree->processes(cgroup_root()).empty());
    EXPECT_TRUE(tree->remove(cgroup_root()));
    ContainerRuntime::Options options;
    options.state_dir = sandbox_->path() + "/run";
    options.exit_dir = sandbox_->path() + "/run/exits";
    const auto runtime = ContainerRuntime::open(options);
    EXPECT_TRUE(runtime->list()->empty());
  }

  std::string data() const { return sandbox_->path() + "/data"; }
  static std::string cgroup_root() { return fmt::format("/berth-test-{}", ::getpid()); }

  void start() {
    AgentOptions options{data(), "node-1", clock_, api_, network_, *images_, devices_};
    options.allow_host_path = true;
    options.usage_period = Duration::milliseconds(200);
    options.cgroup_root = cgroup_root();
    options.runtime_dir = sandbox_->path() + "/run";
    options.workers = 4;
    auto started = Agent::start(std::move(options));
    ASSERT_TRUE(started) << started.error().to_string();
    agent_ = *std::move(started);
  }

  /// A pod with one container `c` running `script`; `more` goes into the container, `spec` into the
  /// pod's spec.
  static Json pod(const std::string& name, const std::string& script, const std::string& more = "",
                  const std::string& spec = "", const std::string& annotations = "") {
    static std::atomic<int> uid = 0;
    const std::string text = fmt::format(
        R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}","namespace":"ns",
          "uid":"{:08x}-{}","annotations":{{{}}}}},
          "spec":{{"nodeName":"node-1","terminationGracePeriodSeconds":1{},
          "containers":[{{"name":"c","image":"busybox","command":["sh","-c",{}]{}}}]}}}})",
        name, ::getpid(), ++uid, annotations, spec.empty() ? "" : "," + spec,
        boost::json::serialize(Json(script)), more.empty() ? "" : "," + more);
    return boost::json::parse(text);
  }
  Json status(const std::string& name) { return api_.now("pods", "ns", name); }
  std::string phase(const std::string& name) {
    return std::string(find_string(status(name), {"status", "phase"}));
  }
  /// containerStatuses[0] of a pod.
  Json container(const std::string& name) {
    const Json object = status(name);
    const JsonArray& list = find_array(object, {"status", "containerStatuses"});
    return list.empty() ? Json(nullptr) : list[0];
  }
  Json terminated(const std::string& name) {
    const Json c = container(name);
    const Json* t = find(c, {"state", "terminated"});
    return t == nullptr ? Json(nullptr) : *t;
  }
  bool is_phase(const std::string& name, const std::string& wanted) {
    return eventually([&] { return phase(name) == wanted; });
  }
  std::string uid(const std::string& name) {
    return std::string(find_string(status(name), {"metadata", "uid"}));
  }
  std::string log(const std::string& name, bool previous = false) {
    const auto path = agent_->log_path({uid(name), "c", previous});
    if (!path) return path.error().to_string();
    return read_log(log_files(*path), {}).value_or("unreadable");
  }
  std::string events(const std::string& pod_name) {
    std::string out;
    for (const Json& event : api_.all("events"))
      if (find_string(event, {"involvedObject", "name"}) == pod_name)
        out += fmt::format("{}: {}\n", find_string(event, {"reason"}),
                           find_string(event, {"message"}));
    return out;
  }

  WallClock clock_;
  std::unique_ptr<Sandbox> sandbox_;
  MemoryApi api_;
  BareNetwork network_;
  TwoDevices devices_;
  std::unique_ptr<TestImages> images_;
  std::unique_ptr<Agent> agent_;
};

inline constexpr const char* kNever = R"("restartPolicy":"Never")";

}  // namespace berth::node::testing
