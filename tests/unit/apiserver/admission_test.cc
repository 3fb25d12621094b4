#include <fmt/format.h>

#include "tests/unit/apiserver/test_server.h"

namespace berth::apiserver {
namespace {

using client::Target;
using objects::find_int;
using objects::find_string;

class AdmissionTest : public ServerTest {
 protected:
  Result<SharedJson> create(const client::Resource& resource, std::string_view text) {
    return api_->create({resource, "default", "", ""}, json(text));
  }
  static Json sized(std::string_view name, std::string_view cpu) {
    Json object = pod(name);
    object.at("spec").at("containers").at(0).as_object()["resources"] =
        JsonObject{{"requests", JsonObject{{"cpu", cpu}}}};
    return object;
  }
  std::string used(std::string_view entry) {
    const auto quota = api_->get({kQuotas, "default", "q", ""});
    return quota ? std::string(find_string(**quota, {"status", "used", entry})) : "none";
  }

  const Target pods_{kPods, "default", "", ""};
  static inline const client::Resource kQuotas{"", "v1", "resourcequotas"};
  static inline const client::Resource kBudgets{"policy", "v1", "poddisruptionbudgets"};
  static inline const client::Resource kClasses{"scheduling.k8s.io", "v1", "priorityclasses"};
};

TEST_F(AdmissionTest, QuotaIsChargedWithTheCreationAndGivenBack) {
  ASSERT_TRUE(create(
      kQuotas, R"({"metadata":{"name":"q"},"spec":{"hard":{"requests.cpu":"1","pods":"2"}}})"));
  EXPECT_EQ(used("pods"), "0");
  ASSERT_TRUE(api_->create(pods_, sized("a", "600m")));
  EXPECT_EQ(used("requests.cpu"), "600m");
  const auto refused = api_->create(pods_, sized("b", "600m"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kForbidden);
  EXPECT_THAT(refused.error().what, testing::HasSubstr("exceeded quota: q"));
  EXPECT_EQ(api_->create(pods_, pod("c")).error().code, ErrorCode::kForbidden);  // must say its cpu
  ASSERT_TRUE(api_->remove({kPods, "default", "a", ""}));
  EXPECT_EQ(used("requests.cpu"), "0");
  EXPECT_TRUE(api_->create(pods_, sized("b", "600m")));
}

TEST_F(AdmissionTest, AResizeStaysWithinQuotaNodeAndQueue) {
  const auto resize = [&](std::string_view cpu) {
    const auto done = api_->patch(
        {kPods, "default", "a", "resize"}, client::PatchType::kStrategicMerge,
        json(fmt::format(R"({{"spec":{{"containers":[{{"name":"main","resources":{{"requests":)"
                         R"({{"cpu":"{}"}}}}}}]}}}})",
                         cpu)));
    return done ? std::string("done") : done.error().what;
  };
  ASSERT_TRUE(
      api_->create({{"", "v1", "nodes"}, "", "", ""},
                   json(R"({"metadata":{"name":"n"},"status":{"allocatable":{"cpu":"4"}}})")));
  const client::Resource queues{"berth.dev", "v1alpha1", "queues"};
  ASSERT_TRUE(api_->create({queues, "", "", ""},
                           json(R"({"metadata":{"name":"small"},"spec":{"limit":{"cpu":"2"}}})")));
  ASSERT_TRUE(api_->patch({queues, "", "small", "status"}, client::PatchType::kMerge,
                          json(R"({"status":{"allocated":{"cpu":"500m"}}})")));
  for (const std::string name : {"a", "b"}) {
    Json object = sized(name, "500m");
    object.at("spec").as_object()["nodeName"] = "n";
    object.at("metadata").as_object()["labels"] =
        JsonObject{{"berth.dev/queue", name == "a" ? "small" : "default"}};
    ASSERT_TRUE(api_->create(pods_, object));
  }
  EXPECT_THAT(resize("50"), testing::HasSubstr("of the 4 on node n it can have 3500m"));
  EXPECT_THAT(resize("2500m"), testing::HasSubstr("queue small is limited to 2 cpu"));
  ASSERT_TRUE(
      create(kQuotas, R"({"metadata":{"name":"q"},"spec":{"hard":{"requests.cpu":"1500m"}}})"));
  EXPECT_THAT(resize("1200m"), testing::HasSubstr("exceeded quota: q"));
  EXPECT_EQ(resize("1"), "done");
  EXPECT_EQ(used("requests.cpu"), "1500m");
  EXPECT_EQ(resize("200m"), "done");
  EXPECT_EQ(used("requests.cpu"), "700m");
}

TEST_F(AdmissionTest, ASidecarCountsWithTheContainers) {
  ASSERT_TRUE(create(kQuotas, R"({"metadata":{"name":"q"},"spec":{"hard":{"requests.cpu":"4"}}})"));
  Json object = sized("a", "1");
  object.at("spec").as_object()["initContainers"] = json(
      R"([{"name":"s","image":"host","restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}},
          {"name":"i","image":"host","resources":{"requests":{"cpu":"1500m"}}}])");
  ASSERT_TRUE(api_->create(pods_, object));
  EXPECT_EQ(used("requests.cpu"), "2500m") << "the init container beside the sidecar";
}

TEST_F(AdmissionTest, APodThatEndedIsNotCharged) {
  ASSERT_TRUE(create(kQuotas, R"({"metadata":{"name":"q"},"spec":{"hard":{"pods":"1"}}})"));
  ASSERT_TRUE(api_->create(pods_, pod("a")));
  ASSERT_TRUE(api_->patch({kPods, "default", "a", "status"}, client::PatchType::kMerge,
                          json(R"({"status":{"phase":"Succeeded"}})")));
  EXPECT_EQ(used("pods"), "0");
  EXPECT_TRUE(api_->create(pods_, pod("b")));
}

TEST_F(AdmissionTest, PriorityComesFromTheClass) {
  ASSERT_TRUE(
      api_->create({kClasses, "", "", ""}, json(R"({"metadata":{"name":"high"},"value":100})")));
  Json object = pod("p");
  object.at("spec").as_object()["priorityClassName"] = "high";
  const auto made = api_->create(pods_, object);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(find_int(**made, {"spec", "priority"}), 100);
  Json unknown = pod("q");
  unknown.at("spec").as_object()["priorityClassName"] = "none";
  EXPECT_EQ(api_->create(pods_, unknown).error().code, ErrorCode::kForbidden);
}

TEST_F(AdmissionTest, AnEvictionAsksTheBudget) {
  Json object = pod("p");
  objects::ensure_object(object, {"metadata", "labels"})["app"] = "web";
  ASSERT_TRUE(api_->create(pods_, object));
  ASSERT_TRUE(api_->patch({kPods, "default", "p", "status"}, client::PatchType::kMerge,
                          json(R"({"status":{"phase":"Running"}})")));
  ASSERT_TRUE(create(kBudgets, R"({"metadata":{"name":"b"},"spec":{"minAvailable":1,
                                   "selector":{"matchLabels":{"app":"web"}}}})"));
  const auto set_allowed = [&](int count) {
    return api_->patch({kBudgets, "default", "b", "status"}, client::PatchType::kMerge,
                       JsonObject{{"status", JsonObject{{"observedGeneration", 1},
                                                        {"disruptionsAllowed", count},
                                                        {"currentHealthy", 1},
                                                        {"desiredHealthy", 1},
                                                        {"expectedPods", 1}}}});
  };
  ASSERT_TRUE(set_allowed(0));
  const Target eviction{kPods, "default", "p", "eviction"};
  const auto refused = api_->create(eviction, json(R"({"metadata":{"name":"p"}})"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kTooManyRequests);
  ASSERT_TRUE(set_allowed(1));
  EXPECT_TRUE(api_->create(eviction, json(R"({"metadata":{"name":"p"}})")));
  EXPECT_EQ(api_->get({kPods, "default", "p", ""}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(find_int(**api_->get({kBudgets, "default", "b", ""}), {"status", "disruptionsAllowed"}),
            0);
}

TEST_F(AdmissionTest, AServiceGetsAnAddressOfItsOwn) {
  const client::Resource services{"", "v1", "services"};
  const auto make = [&](std::string_view name) {
    return api_->create(
        {services, "default", "", ""},
        JsonObject{{"metadata", JsonObject{{"name", name}}},
                   {"spec", JsonObject{{"ports", JsonArray{JsonObject{{"port", 80}}}}}}});
  };
  const auto first = make("a");
  const auto second = make("b");
  ASSERT_TRUE(first && second);
  EXPECT_THAT(std::string(find_string(**first, {"spec", "clusterIP"})),
              testing::StartsWith("10.96."));
  EXPECT_NE(find_string(**first, {"spec", "clusterIP"}),
            find_string(**second, {"spec", "clusterIP"}));
}

TEST_F(AdmissionTest, ServicesHaveAddressesOfTheRangeThatWasGiven) {
  server_.reset();
  auto started = Server::start({.data_dir = folder_.path() / "other",
                                .address = "127.0.0.1",
                                .port = 0,
                                .clock = &clock_,
                                .services = *parse_subnet("10.77.0.0/29")});
  ASSERT_TRUE(started) << started.error().to_string();
  server_ = *std::move(started);
  api_.emplace(server_->client());
  const client::Resource services{"", "v1", "services"};
  const auto make = [&](const std::string& name, const std::string& address) -> std::string {
    JsonObject spec{{"ports", JsonArray{JsonObject{{"port", 80}}}}};
    if (!address.empty()) spec["clusterIP"] = address;
    const auto made = api_->create(
        {services, "default", "", ""},
        JsonObject{{"metadata", JsonObject{{"name", name}}}, {"spec", std::move(spec)}});
    return made ? std::string(find_string(**made, {"spec", "clusterIP"}))
                : made.error().to_string();
  };
  EXPECT_THAT(make("far", "10.96.0.10"), testing::HasSubstr("is not in 10.77.0.0/29"));
  EXPECT_EQ(make("chosen", "10.77.0.2"), "10.77.0.2");
  std::vector<std::string> given;
  for (const char* name : {"a", "b", "c", "d", "e"}) given.push_back(make(name, ""));
  EXPECT_THAT(
      given, testing::ElementsAre("10.77.0.1", "10.77.0.3", "10.77.0.4", "10.77.0.5", "10.77.0.6"));
  EXPECT_THAT(make("full", ""), testing::HasSubstr("no address is left"));
}

TEST_F(AdmissionTest, FinalizersHoldADeletion) {
  Json object = config_map("a");
  objects::ensure_object(object, {"metadata"})["finalizers"] = JsonArray{"berth.dev/hold"};
  ASSERT_TRUE(api_->create({kConfigMaps, "default", "", ""}, object));
  const Target target{kConfigMaps, "default", "a", ""};
  ASSERT_TRUE(api_->remove(target));
  EXPECT_NE(find_string(**api_->get(target), {"metadata", "deletionTimestamp"}), "");
  ASSERT_TRUE(
      api_->patch(target, client::PatchType::kMerge, json(R"({"metadata":{"finalizers":null}})")));
  EXPECT_EQ(api_->get(target).error().code, ErrorCode::kNotFound);
}

TEST_F(AdmissionTest, ForegroundDeletionWaitsForTheGarbageCollector) {
  ASSERT_TRUE(api_->create({kConfigMaps, "default", "", ""}, config_map("a")));
  client::DeleteOptions options;
  options.propagation = "Foreground";
  ASSERT_TRUE(api_->remove({kConfigMaps, "default", "a", ""}, options));
  const auto kept = api_->get({kConfigMaps, "default", "a", ""});
  ASSERT_TRUE(kept);
  EXPECT_EQ(objects::find_array(**kept, {"metadata", "finalizers"}),
            JsonArray{"foregroundDeletion"});
}

}  // namespace
}  // namespace berth::apiserver
