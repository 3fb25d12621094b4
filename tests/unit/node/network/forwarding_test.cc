#include "node/network/forwarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

using ::testing::ElementsAre;

// As nft 1.0 prints them.
constexpr std::string_view kChains = R"({"nftables": [{"metainfo": {"version": "1.0.6"}},
  {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
  {"chain": {"family": "ip", "table": "filter", "name": "DOCKER-USER", "handle": 3}},
  {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
  {"chain": {"family": "inet", "table": "fw", "name": "in", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
  {"chain": {"family": "inet", "table": "fw", "name": "through", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}},
  {"chain": {"family": "ip", "table": "berth1", "name": "refuse_pods", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}}]})";

TEST(Forwarding, ChainsThatForwardedPacketsPass) {
  EXPECT_THAT(forward_chains(kChains), ElementsAre(ForwardChain{"ip", "filter", "FORWARD", true},
                                                   ForwardChain{"inet", "fw", "through", false}));
  EXPECT_TRUE(forward_chains("no JSON").empty());
}

std::string chain(const std::string& rules) {
  return "table ip filter {\n\tchain FORWARD {\n"
         "\t\ttype filter hook forward priority filter; policy drop;\n" +
         rules + "\t}\n}\n";
}

TEST(Forwarding, APolicyKeepsOutWhatNoRuleLetsThrough) {
  const ForwardChain drop{"ip", "filter", "FORWARD", true};
  EXPECT_TRUE(keeps_out(drop, chain(""), "berth0"));
  EXPECT_TRUE(keeps_out(drop, chain("\t\toifname \"docker0\" counter packets 0 bytes 0 accept\n"),
                        "berth0"));
  EXPECT_FALSE(keeps_out(drop, chain("\t\tiifname \"berth0\" counter packets 0 bytes 0 accept\n"),
                         "berth0"));
  EXPECT_TRUE(keeps_out(drop, chain("\t\tiifname \"berth0\" accept\n"), "berth01"));
}

TEST(Forwarding, SoDoesALastRuleForEverything) {
  const ForwardChain accept{"inet", "fw", "through", false};
  EXPECT_FALSE(keeps_out(accept, chain(""), "berth0"));
  EXPECT_TRUE(keeps_out(accept, chain("\t\tct state established accept\n\t\tdrop\n"), "berth0"));
  EXPECT_TRUE(keeps_out(accept, chain("\t\treject with icmpx admin-prohibited\n"), "berth0"));
  EXPECT_TRUE(keeps_out(accept, chain("\t\tcounter packets 7 bytes 9 drop\n"), "berth0"));
  EXPECT_FALSE(keeps_out(accept, chain("\t\tip saddr 10.0.0.1 drop\n"), "berth0"));
  EXPECT_FALSE(keeps_out(accept, chain("\t\tiifname \"berth0\" accept\n\t\tdrop\n"), "berth0"));
}

TEST(Forwarding, RulesOfTheOlderInterface) {
  EXPECT_TRUE(legacy_keeps_out("-P FORWARD DROP\n", "berth0"));
  EXPECT_TRUE(legacy_keeps_out("-P FORWARD ACCEPT\n-A FORWARD -j REJECT\n", "berth0"));
  EXPECT_FALSE(legacy_keeps_out("-P FORWARD ACCEPT\n-A FORWARD -i docker0 -j DROP\n", "berth0"));
  EXPECT_FALSE(legacy_keeps_out("-P FORWARD DROP\n-A FORWARD -i berth0 -j ACCEPT\n", "berth0"));
}

}  // namespace
}  // namespace berth::node
