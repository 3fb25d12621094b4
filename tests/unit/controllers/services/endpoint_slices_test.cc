#include "controllers/services/endpoint_slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/controllers/world.h"

namespace berth::controllers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class EndpointSlicesTest : public ::testing::Test {
 protected:
  ObjectPtr service(std::string_view spec =
                        R"({"selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080}]})") {
    return world.add(Kind::kService,
                     R"({"metadata":{"name":"web"},"spec":)" + std::string(spec) + "}");
  }
  ObjectPtr pod(const std::string& name, const std::string& ip, bool ready = true,
                const std::string& spec = R"({"containers":[]})", const std::string& app = "web") {
    return world.add(Kind::kPod, R"({"metadata":{"name":")" + name + R"(","labels":{"app":")" +
                                     app + R"("}},"spec":)" + spec +
                                     R"(,"status":{"phase":"Running","podIP":")" + ip +
                                     R"(","conditions":[{"type":"Ready","status":")" +
                                     (ready ? "True" : "False") + R"("}]}})");
  }
  std::vector<ObjectPtr> settle() {
    world.settle(kEndpointSlices, {Kind::kService, "default", "web"});
    return world.view.list(Kind::kEndpointSlice);
  }
  /// `ip ready terminating`, for each endpoint of every slice.
  std::vector<std::string> endpoints() {
    std::vector<std::string> result;
    for (const ObjectPtr& slice : settle()) {
      for (const Json& endpoint : objects::find_array(*slice->json, {"endpoints"})) {
        std::string text(objects::find_array(endpoint, {"addresses"})[0].as_string());
        if (objects::find_bool(endpoint, {"conditions", "ready"})) text += " ready";
        if (objects::find_bool(endpoint, {"conditions", "serving"})) text += " serving";
        if (objects::find_bool(endpoint, {"conditions", "terminating"})) text += " terminating";
        result.push_back(text);
      }
    }
    return result;
  }

  World world;
};

TEST_F(EndpointSlicesTest, ListsTheSelectedPods) {
  service();
  pod("a", "10.1.0.2");
  pod("b", "10.1.0.3", false);
  pod("other", "10.1.0.4", true, "{}", "db");
  EXPECT_THAT(endpoints(), UnorderedElementsAre("10.1.0.2 ready serving", "10.1.0.3"));
  const auto slices = settle();
  ASSERT_EQ(slices.size(), 1U);
  EXPECT_EQ(slices[0]->label("kubernetes.io/service-name"), "web");
  EXPECT_EQ(objects::find_int(objects::find_array(*slices[0]->json, {"ports"})[0], {"port"}), 8080);
  ASSERT_NE(slices[0]->controller(), nullptr);
  EXPECT_EQ(slices[0]->controller()->kind, "Service");
}

TEST_F(EndpointSlicesTest, FollowsReadiness) {
  service();
  const ObjectPtr a = pod("a", "10.1.0.2", false);
  EXPECT_THAT(endpoints(), ElementsAre("10.1.0.2"));
  world.set_pod(a, "Running", true);
  EXPECT_THAT(endpoints(), ElementsAre("10.1.0.2 ready serving"));
}

TEST_F(EndpointSlicesTest, APodOnItsWayOutServesWhatItHas) {
  service();
  const ObjectPtr a = pod("a", "10.1.0.2");
  world.change(a->key, R"({"metadata":{"deletionTimestamp":"2026-11-23T10:00:00Z"}})");
  EXPECT_THAT(endpoints(), ElementsAre("10.1.0.2 serving terminating"));
}

TEST_F(EndpointSlicesTest, LeavesOutPodsThatCannotAnswer) {
  service();
  pod("no-address", "");
  const ObjectPtr done = pod("done", "10.1.0.2");
  world.set_pod(done, "Succeeded");
  EXPECT_THAT(endpoints(), IsEmpty());
  EXPECT_THAT(settle(), IsEmpty());
}

TEST_F(EndpointSlicesTest, NotReadyAddressesOnRequest) {
  service(R"({"clusterIP":"None","publishNotReadyAddresses":true,"selector":{"app":"web"}})");
  pod("a", "10.1.0.2", false);
  EXPECT_THAT(endpoints(), ElementsAre("10.1.0.2 ready serving"));
  EXPECT_EQ(settle()[0]->label("service.kubernetes.io/headless", "absent"), "");
}

TEST_F(EndpointSlicesTest, NamedPortsMayDifferFromPodToPod) {
  service(R"({"selector":{"app":"web"},"ports":[{"port":80,"targetPort":"http"}]})");
  pod("a", "10.1.0.2", true,
      R"({"containers":[{"ports":[{"name":"http","containerPort":8000}]}]})");
  pod("b", "10.1.0.3", true,
      R"({"containers":[{"ports":[{"name":"http","containerPort":9000}]}]})");
  std::vector<int64_t> ports;
  for (const ObjectPtr& slice : settle())
    ports.push_back(objects::find_int(objects::find_array(*slice->json, {"ports"})[0], {"port"}));
  EXPECT_THAT(ports, UnorderedElementsAre(8000, 9000));
}

TEST_F(EndpointSlicesTest, NamesTheMembersOfASubdomain) {
  service(R"({"clusterIP":"None","selector":{"app":"web"}})");
  pod("a", "10.1.0.2", true, R"({"hostname":"train-0","subdomain":"web","nodeName":"n1"})");
  const Json endpoint = objects::find_array(*settle()[0]->json, {"endpoints"})[0];
  EXPECT_EQ(objects::find_string(endpoint, {"hostname"}), "train-0");
  EXPECT_EQ(objects::find_string(endpoint, {"nodeName"}), "n1");
}

TEST_F(EndpointSlicesTest, RepairsWhatSomebodyChangedAndRemovesWhatIsEmpty) {
  service();
  const ObjectPtr a = pod("a", "10.1.0.2");
  const ObjectPtr slice = settle().at(0);
  world.change(slice->key, R"({"endpoints":[]})");
  EXPECT_THAT(endpoints(), ElementsAre("10.1.0.2 ready serving"));
  world.view.remove(a->key, world.now);
  EXPECT_THAT(settle(), IsEmpty());
}

TEST_F(EndpointSlicesTest, ManyPodsTakeSeveralSlices) {
  service();
  for (int i = 0; i < 1200; ++i)
    pod("p" + std::to_string(i), "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250));
  EXPECT_EQ(settle().size(), 2U);
  EXPECT_EQ(endpoints().size(), 1200U);
}

TEST_F(EndpointSlicesTest, WithoutASelectorTheUserKeepsTheSlices) {
  service(R"({"ports":[{"port":80}]})");
  pod("a", "10.1.0.2");
  EXPECT_THAT(settle(), IsEmpty());
}

TEST_F(EndpointSlicesTest, APodConcernsTheServicesOfItsNamespace) {
  const ObjectPtr web = service();
  std::vector<Key> keys;
  kEndpointSlices.affected(world.view, *pod("a", "10.1.0.2"), keys);
  EXPECT_THAT(keys, ElementsAre(web->key));
  keys.clear();
  kEndpointSlices.affected(world.view, *settle().at(0), keys);
  EXPECT_THAT(keys, ElementsAre(web->key));
}

}  // namespace
}  // namespace berth::controllers
