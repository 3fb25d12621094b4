// What the gateway learns from a real API server: models by label, servers by readiness, keys.

#include "gateway/discovery.h"

#include <condition_variable>
#include <mutex>

#include "tests/unit/apiserver/test_server.h"

namespace berth::gateway {
namespace {

using apiserver::json;
using client::Resource;

class DiscoveryTest : public apiserver::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    discovery_ = std::make_unique<Discovery>(
        server_->client(), Discovery::Callbacks{.models =
                                                    [this](const Discovery::Models& models) {
                                                      const std::lock_guard lock(mutex_);
                                                      models_ = models;
                                                      changed_.notify_all();
                                                    },
                                                .keys =
                                                    [this](const auto& keys) {
                                                      const std::lock_guard lock(mutex_);
                                                      keys_ = keys;
                                                      changed_.notify_all();
                                                    },
                                                .failed = [](const Error&) {}});
  }
  void TearDown() override {
    discovery_.reset();
    ServerTest::TearDown();
  }

  void create(Resource resource, std::string_view text) {
    const auto made =
        api_->create({std::move(resource), "default", "", ""}, json(text), client::WriteOptions{});
    ASSERT_TRUE(made) << made.error().to_string();
  }
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Discovery::Models models_;
  std::vector<client::GatewayKey> keys_;
  std::unique_ptr<Discovery> discovery_;
};

TEST_F(DiscoveryTest, LabelledServicesAreModelsAndTheirReadyEndpointsServers) {
  create({"", "v1", "services"}, R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s",
    "labels":{"berth.dev/model-service":"s"},"annotations":{"berth.dev/model-name":"harbour",
    "berth.dev/max-in-flight":"7"}},
    "spec":{"ports":[{"port":80,"targetPort":8080}],"selector":{"app":"s"}}})");
  EXPECT_TRUE(wait([this] { return models_.contains("harbour"); }));
  EXPECT_TRUE(wait([this] { return models_.at("harbour").servers.empty(); })) << "it may start yet";
  create({"discovery.k8s.io", "v1", "endpointslices"}, R"({"apiVersion":"discovery.k8s.io/v1",
    "kind":"EndpointSlice","metadata":{"name":"s-1","labels":{"kubernetes.io/service-name":"s"}},
    "addressType":"IPv4","ports":[{"port":8080}],"endpoints":[
      {"addresses":["10.1.0.1"],"conditions":{"ready":true}},
      {"addresses":["10.1.0.2"],"conditions":{"ready":false}}]})");
  EXPECT_TRUE(wait([this] { return models_.at("harbour").servers.size() == 1; }));
  const std::lock_guard lock(mutex_);
  const Upstream& upstream = models_.at("harbour").servers.begin()->second;
  EXPECT_EQ(upstream.url, "http://10.1.0.1:8080");
  EXPECT_EQ(upstream.max_in_flight, 7);
}

TEST_F(DiscoveryTest, KeysAreSecretsOfTheirTenantsNamespace) {
  auto minted = client::mint_key("default", "test", clock_.now());
  const auto made = api_->create({{"", "v1", "secrets"}, "default", "", ""},
                                 client::key_to_secret(minted.key), client::WriteOptions{});
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_TRUE(wait([this] { return keys_.size() == 1; }));
  EXPECT_TRUE(client::secret_matches(keys_[0], client::parse_token(minted.token)->secret));
  // A Secret in one namespace cannot make a key of another.
  minted = client::mint_key("kube-system", "forged", clock_.now());
  Json forged = client::key_to_secret(minted.key);
  forged.at("metadata").at("namespace") = "default";
  const auto second = api_->create({{"", "v1", "secrets"}, "default", "", ""}, std::move(forged),
                                   client::WriteOptions{});
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_TRUE(wait([this] { return keys_.size() == 2; }));
  for (const client::GatewayKey& key : keys_) EXPECT_EQ(key.tenant, "default");
}

}  // namespace
}  // namespace berth::gateway
