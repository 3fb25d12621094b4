#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "apiserver/server.h"
#include "client/informer.h"
#include "client/sync_client.h"
#include "controllers/runner.h"
#include "objects/json.h"
#include "platform/event_loop.h"
#include "tests/unit/apiserver/test_server.h"

namespace berth::controllers {

/// Plays scheduler and kubelet: binds what is new, starts it, ends it with what its annotation
/// `test/phase` says, and removes what is told to stop.
class PlayedNode {
 public:
  explicit PlayedNode(client::ApiClient& client) : client_(client) {
    loop_.post([this] { begin(); });
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~PlayedNode() {
    loop_.post([this] { informer_.reset(); });
    loop_.stop();
    thread_.join();
  }

 private:
  static void ignore(const Result<SharedJson>&) {}

  void begin() {
    client::Informer::Options options;
    options.collection.resource = {"", "v1", "pods"};
    client::Informer::Handlers handlers;
    handlers.added = [this](const SharedJson& pod) { act(*pod); };
    handlers.updated = [this](const SharedJson&, const SharedJson& pod) { act(*pod); };
    informer_ = std::make_unique<client::Informer>(client_, loop_, options, handlers);
    informer_->start();
  }

  void act(const Json& pod) {
    const std::string ns(objects::find_string(pod, {"metadata", "namespace"}));
    const std::string name(objects::find_string(pod, {"metadata", "name"}));
    const std::string phase(objects::find_string(pod, {"status", "phase"}));
    const client::Target target{{"", "v1", "pods"}, ns, name, ""};
    client::Target status = target;
    status.subresource = "status";
    const bool ended = phase == "Succeeded" || phase == "Failed";
    if (!objects::find_string(pod, {"metadata", "deletionTimestamp"}).empty()) {
      client::DeleteOptions options;
      options.grace = Duration{};
      client_.remove(target, options, &ignore);
    } else if (objects::find_string(pod, {"spec", "nodeName"}).empty()) {
      client::Target binding = target;
      binding.subresource = "binding";
      client_.create(binding,
                     JsonObject{{"apiVersion", "v1"},
                                {"kind", "Binding"},
                                {"metadata", JsonObject{{"name", name}}},
                                {"target", JsonObject{{"kind", "Node"}, {"name", "n1"}}}},
                     {}, &ignore);
    } else if (phase == "Pending") {
      client_.patch(status, client::PatchType::kMerge, running(), {}, &ignore);
    } else if (const std::string_view end =
                   objects::find_string(pod, {"metadata", "annotations", "test/phase"});
               !ended && !end.empty()) {
      client_.patch(status, client::PatchType::kMerge,
                    JsonObject{{"status", JsonObject{{"phase", end}}}}, {}, &ignore);
    }
  }

  static Json running() {
    return JsonObject{
        {"status", JsonObject{{"phase", "Running"},
                              {"conditions", JsonArray{JsonObject{{"type", "Ready"},
                                                                  {"status", "True"},
                                                                  {"lastTransitionTime",
                                                                   "2026-11-23T10:00:00Z"}}}}}}};
  }

  client::ApiClient& client_;
  platform::EventLoop loop_;
  std::unique_ptr<client::Informer> informer_;
  std::thread thread_;
};

/// A real API server with the controllers at work, and a played node.
class Machine : public apiserver::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    auto created = api_->create(
        {{"", "v1", "nodes"}, "", "", ""},
        apiserver::json(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}})"));
    ASSERT_TRUE(created) << created.error().to_string();
    node_ = std::make_unique<PlayedNode>(server_->client());
    start_runner();
  }
  void TearDown() override {
    runner_.reset();
    node_.reset();
  }

  void start_runner() {
    auto started = Runner::start({server_->client(), clock_});
    ASSERT_TRUE(started);
    runner_ = *std::move(started);
  }

  static client::Target at(client::Resource resource, std::string name = "") {
    return {std::move(resource), "default", std::move(name), ""};
  }
  void create(client::Resource resource, std::string_view text) {
    const auto created = api_->create(at(std::move(resource)), apiserver::json(text));
    ASSERT_TRUE(created) << created.error().to_string();
  }
  void patch(client::Resource resource, std::string name, std::string_view text) {
    const auto patched = api_->patch(at(std::move(resource), std::move(name)),
                                     client::PatchType::kMerge, apiserver::json(text));
    ASSERT_TRUE(patched) << patched.error().to_string();
  }
  SharedJson get(client::Resource resource, std::string name) {
    const auto got = api_->get(at(std::move(resource), std::move(name)));
    return got ? *got : std::make_shared<const Json>(nullptr);
  }
  std::vector<SharedJson> list(client::Resource resource) {
    const auto got = api_->list(at(std::move(resource)));
    return got ? got->items : std::vector<SharedJson>{};
  }
  int64_t status(client::Resource resource, const std::string& name, std::string_view field) {
    return objects::find_int(*get(std::move(resource), name), {"status", field});
  }
  bool has_condition(client::Resource resource, const std::string& name, std::string_view type,
                     std::string_view reason = "") {
    const SharedJson object = get(std::move(resource), name);
    for (const Json& condition : objects::find_array(*object, {"status", "conditions"})) {
      if (objects::find_string(condition, {"type"}) == type &&
          objects::find_string(condition, {"status"}) == "True" &&
          (reason.empty() || objects::find_string(condition, {"reason"}) == reason)) {
        return true;
      }
    }
    return false;
  }

  /// Waits for a fact, at most 20 s.
  static bool eventually(const std::function<bool()>& fact) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < limit) {
      if (fact()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return fact();
  }

  inline static const client::Resource kJobs{"batch", "v1", "jobs"};
  inline static const client::Resource kReplicaSets{"apps", "v1", "replicasets"};
  inline static const client::Resource kPodGroups{"scheduling.x-k8s.io", "v1alpha1", "podgroups"};
  inline static const client::Resource kBudgets{"policy", "v1", "poddisruptionbudgets"};
  inline static const client::Resource kEvents{"", "v1", "events"};
  inline static const client::Resource kPods{"", "v1", "pods"};
  inline static const client::Resource kDeployments{"apps", "v1", "deployments"};
  inline static const client::Resource kConfigMaps{"", "v1", "configmaps"};

  std::unique_ptr<PlayedNode> node_;
  std::unique_ptr<Runner> runner_;
};

}  // namespace berth::controllers
