#include "node/network/bridge_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SubnetsInUse, RoutesAndNameServers) {
  const auto reached = routes(
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
      "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
      "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
  EXPECT_THAT(reached, ElementsAre(Route{"eth0", *parse_subnet("192.168.0.0/24")}));
  const auto taken = subnets_in_use(
      reached, "# comment\nnameserver 10.210.0.2\nnameserver fd00::1\nsearch example\n");
  std::vector<std::string> text;
  for (const Subnet& subnet : taken) text.push_back(subnet.to_string());
  EXPECT_THAT(text, ElementsAre("192.168.0.0/24", "10.210.0.2/32"));
}

const Subnet kServices = *parse_subnet("10.96.0.0/16");

TEST(PlanBridge, AvoidsWhatIsTaken) {
  const auto plan = plan_bridge("berth0", {}, kServices, {*parse_subnet("10.210.0.2/32")});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->pods.to_string(), "10.211.0.0/16");
  EXPECT_TRUE(plan->reserves_services);
  EXPECT_FALSE(plan_bridge("berth0", {}, kServices, {*parse_subnet("0.0.0.0/0")}));
}

TEST(PlanBridge, LeavesAServiceNetworkThatOthersHaveToThem) {
  const auto plan = plan_bridge("berth0", {}, kServices, {*parse_subnet("10.96.4.0/24")});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->services, kServices);
  EXPECT_FALSE(plan->reserves_services);
}

TEST(PlanBridge, ChecksWhatIsGiven) {
  EXPECT_THAT(plan_bridge("b", *parse_subnet("10.96.4.0/24"), kServices, {}).error().to_string(),
              HasSubstr("overlap"));
  EXPECT_THAT(plan_bridge("b", *parse_subnet("10.1.0.0/30"), kServices, {}).error().to_string(),
              HasSubstr("too small"));
  const auto plan = plan_bridge("b", {}, *parse_subnet("10.210.0.0/20"), {});
  EXPECT_FALSE(plan->pods.overlaps(plan->services));
}

TEST(BridgePlan, SurvivesFormatting) {
  auto plan = plan_bridge("berth3", {}, kServices, {});
  plan->reserves_services = false;
  plan->changed_sysctls["/proc/sys/net/ipv4/ip_forward"] = "0";
  const auto again = parse_bridge_plan(format_bridge_plan(*plan), "f");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->bridge, "berth3");
  EXPECT_EQ(again->pods, plan->pods);
  EXPECT_EQ(again->services, plan->services);
  EXPECT_FALSE(again->reserves_services);
  EXPECT_EQ(again->changed_sysctls, plan->changed_sysctls);
  EXPECT_FALSE(parse_bridge_plan("{", "f"));
  EXPECT_FALSE(parse_bridge_plan("{}", "f"));
}

TEST(BridgeCniConfig, BandwidthOnlyWhereAsked) {
  const auto plan = plan_bridge("berth0", {}, kServices, {});
  EXPECT_EQ(bridge_cni_config(*plan, "/d", false).plugins.size(), 1U);
  const CniConfig limited = bridge_cni_config(*plan, "/d", true);
  ASSERT_EQ(limited.plugins.size(), 2U);
  EXPECT_EQ(limited.plugins[1].type, "bandwidth");
}

}  // namespace
}  // namespace berth::node
