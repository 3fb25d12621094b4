#include <filesystem>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "apiserver/server.h"
#include "client/sync_client.h"
#include "node/agent/agent.h"
#include "node/network/network.h"
#include "tests/integration/node/machine_parts.h"
#include "tests/integration/node/sandbox.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_string;
using testing::eventually;

/// The agent on the real API server: what the memory fake cannot vouch for.
class NodeOnServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = testing::missing(); !why.empty()) GTEST_SKIP() << why;
    sandbox_ = std::make_unique<testing::Sandbox>();
    apiserver::ServerOptions server;
    server.data_dir = sandbox_->path() + "/api";
    server.clock = &clock_;
    auto started = apiserver::Server::start(server);
    ASSERT_TRUE(started) << started.error().to_string();
    server_ = *std::move(started);
    client_ = std::make_unique<client::SyncClient>(server_->client());
    images_ = std::make_unique<testing::TestImages>(sandbox_->busybox(), sandbox_->path() + "/host",
                                                    clock_);
    ASSERT_TRUE(make_directories(sandbox_->path() + "/data"));
    NetworkOptions net;
    net.data_dir = sandbox_->path() + "/data";
    auto network = Network::start(net, server_->client());
    if (!network) GTEST_SKIP() << network.error().to_string();
    network_ = *std::move(network);
    AgentOptions options{sandbox_->path() + "/data",
                         "node-1",
                         clock_,
                         server_->client(),
                         *network_,
                         *images_,
                         devices_};
    options.cgroup_root = fmt::format("/berth-test-{}", ::getpid());
    options.runtime_dir = sandbox_->path() + "/run";
    auto agent = Agent::start(std::move(options));
    ASSERT_TRUE(agent) << agent.error().to_string();
    agent_ = *std::move(agent);
  }
  void TearDown() override {
    if (agent_) agent_->stop(Agent::StopMode::kDrain);
    agent_.reset();
    if (network_) {
      const auto cleaned = network_->cleanup_all();
      EXPECT_TRUE(cleaned && *cleaned);
      network_.reset();
    }
    if (server_) server_->stop();
  }
  Json get(const std::string& plural, const std::string& ns, const std::string& name) {
    const auto found = client_->get({{"", "v1", plural}, ns, name, {}});
    return found ? **found : Json(nullptr);
  }
  Json pod() { return get("pods", "default", "a"); }
  std::string condition(std::string_view type) {
    const Json object = pod();
    for (const Json& c : find_array(object, {"status", "conditions"}))
      if (find_string(c, {"type"}) == type) return std::string(find_string(c, {"status"}));
    return "none";
  }

  testing::WallClock clock_;
  std::unique_ptr<testing::Sandbox> sandbox_;
  std::unique_ptr<apiserver::Server> server_;
  std::unique_ptr<client::SyncClient> client_;
  std::unique_ptr<Network> network_;
  testing::TwoDevices devices_;
  std::unique_ptr<testing::TestImages> images_;
  std::unique_ptr<Agent> agent_;
};

TEST_F(NodeOnServerTest, APodLivesAndGoes) {
  ASSERT_TRUE(eventually([&] {
    return find_string(get("nodes", "", "node-1"), {"status", "capacity", "pods"}) == "250";
  })) << boost::json::serialize(get("nodes", "", "node-1"));
  EXPECT_TRUE(eventually([&] {
    return client_->get({{"coordination.k8s.io", "v1", "leases"}, "kube-node-lease", "node-1", {}})
        .has_value();
  })) << client_->get({{"coordination.k8s.io", "v1", "leases"}, "kube-node-lease", "node-1", {}})
             .error()
             .to_string();
  Json object = boost::json::parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},
      "spec":{"nodeName":"node-1","terminationGracePeriodSeconds":1,"containers":[{"name":"c",
      "image":"busybox","command":["sh","-c","cat /etc/hosts; hostname; httpd -f -p 8080 -h /"],
      "readinessProbe":{"httpGet":{"path":"/etc/passwd","port":8080},"periodSeconds":1},
      "resources":{"limits":{"cpu":"500m","memory":"64Mi"}}}]}})");
  const auto created = client_->create({{"", "v1", "pods"}, "default", {}, {}}, std::move(object));
  ASSERT_TRUE(created) << created.error().to_string();
  // The scheduler's condition, which the node must leave alone.
  ASSERT_TRUE(client_->patch(
      {{"", "v1", "pods"}, "default", "a", "status"}, client::PatchType::kStrategicMerge,
      boost::json::parse(
          R"({"status":{"conditions":[{"type":"PodScheduled","status":"True"}]}})")));
  ASSERT_TRUE(eventually([&] { return find_string(pod(), {"status", "phase"}) == "Running"; }))
      << boost::json::serialize(pod());
  EXPECT_TRUE(eventually([&] { return condition("Ready") == "True"; }))
      << boost::json::serialize(pod());
  EXPECT_EQ(condition("PodScheduled"), "True");
  EXPECT_EQ(find_string(pod(), {"status", "qosClass"}), "Guaranteed");

  // In-place resize through its subresource.
  const auto resized = client_->patch(
      {{"", "v1", "pods"}, "default", "a", "resize"}, client::PatchType::kStrategicMerge,
      boost::json::parse(
          R"({"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"1"},"requests":{"cpu":"1"}}}]}})"));
  if (resized)
    EXPECT_TRUE(eventually([&] {
      const Json now = pod();
      const JsonArray& list = find_array(now, {"status", "containerStatuses"});
      return !list.empty() && find_string(list[0], {"resources", "limits", "cpu"}) == "1";
    })) << boost::json::serialize(pod());
  else
    ADD_FAILURE() << resized.error().to_string();

  ASSERT_TRUE(client_->remove({{"", "v1", "pods"}, "default", "a", {}}));
  EXPECT_TRUE(eventually([&] { return pod().is_null(); })) << boost::json::serialize(pod());
  EXPECT_TRUE(
      eventually([&] { return std::filesystem::is_empty(sandbox_->path() + "/data/pods"); }));
  const auto events = client_->list({{"", "v1", "events"}, "default", {}, {}});
  ASSERT_TRUE(events);
  std::string reasons;
  for (const SharedJson& event : events->items)
    reasons += std::string(find_string(*event, {"reason"})) + " ";
  for (const char* reason : {"Pulled", "Created", "Started", "Killing"})
    EXPECT_NE(reasons.find(reason), std::string::npos) << reasons;
}

}  // namespace
}  // namespace berth::node
