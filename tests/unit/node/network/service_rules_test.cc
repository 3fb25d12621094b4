#include "node/network/services/service_rules.h"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SharedJson json(std::string_view text) {
  return std::make_shared<const Json>(boost::json::parse({text.data(), text.size()}));
}

const SharedJson kWeb = json(R"({"metadata":{"namespace":"default","name":"web",
    "creationTimestamp":"2026-01-01T00:00:00Z"},
    "spec":{"clusterIP":"10.96.0.10","ports":[{"name":"http","port":80},
                                              {"name":"dns","port":53,"protocol":"UDP"},
                                              {"name":"odd","port":9,"protocol":"SCTP"}]}})");
const SharedJson kSlice = json(R"({"metadata":{"namespace":"default",
    "labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",
    "ports":[{"name":"http","port":8080},{"name":"dns","port":5353}],
    "endpoints":[
      {"addresses":["10.1.0.3"],"conditions":{"ready":true}},
      {"addresses":["10.1.0.2"]},
      {"addresses":["10.1.0.4"],"conditions":{"ready":false}},
      {"addresses":["10.1.0.5"],"conditions":{"ready":false,"serving":true,"terminating":true}},
      {"addresses":["fd00::1"],"conditions":{"ready":true}}]})");

const ServiceNetwork kNetwork{.table = "berth0",
                              .services = *parse_subnet("10.96.0.0/20"),
                              .pods = *parse_subnet("10.1.0.0/16"),
                              .bridge = "berth0"};

TEST(ServicePorts, JoinsPortsWithReadyEndpoints) {
  const auto ports = service_ports(std::vector{kWeb}, std::vector{kSlice});
  ASSERT_EQ(ports.size(), 2U);
  EXPECT_EQ(ports[0].name, "default/web:dns");
  EXPECT_TRUE(ports[0].udp);
  EXPECT_EQ(ports[1].name, "default/web:http");
  EXPECT_EQ(ports[1].cluster_ip, "10.96.0.10");
  EXPECT_THAT(ports[1].backends, ElementsAre(Backend{"10.1.0.2", 8080}, Backend{"10.1.0.3", 8080}));
}

TEST(ServicePorts, LeavesOutWhatHasNoAddress) {
  const auto headless = json(R"({"metadata":{"namespace":"d","name":"h"},
      "spec":{"clusterIP":"None","ports":[{"port":80}]}})");
  const auto waiting = json(R"({"metadata":{"namespace":"d","name":"w"},
      "spec":{"ports":[{"port":80}]}})");
  const auto leaving = json(R"({"metadata":{"namespace":"d","name":"l","deletionTimestamp":"x"},
      "spec":{"clusterIP":"10.96.0.9","ports":[{"port":80}]}})");
  const auto odd = json(R"({"metadata":{"namespace":"d","name":"o"},
      "spec":{"clusterIP":"10.96.0.8","ports":[{"port":0},{"port":70000},{"port":"x"},7]}})");
  EXPECT_THAT(service_ports(std::vector{headless, waiting, leaving, odd}, {}), IsEmpty());
}

TEST(ServicePorts, TheOlderOfTwoHasTheAddress) {
  const auto thief = json(R"({"metadata":{"namespace":"a","name":"thief",
      "creationTimestamp":"2026-02-01T00:00:00Z"},
      "spec":{"clusterIP":"10.96.0.10","ports":[{"port":80}]}})");
  const auto ports = service_ports(std::vector{thief, kWeb}, {});
  for (const ServicePort& port : ports) EXPECT_EQ(port.name.find("thief"), std::string::npos);
}

TEST(NftRuleset, Golden) {
  const auto ports = service_ports(std::vector{kWeb}, std::vector{kSlice});
  EXPECT_EQ(nft_ruleset(kNetwork, ports), R"(table ip berth0
delete table ip berth0
table ip berth0 {
	chain service_0 {
		meta l4proto udp dnat to numgen random mod 2 map { 0 : 10.1.0.2 . 5353, 1 : 10.1.0.3 . 5353 } comment "default/web:dns"
	}
	chain service_1 {
		meta l4proto tcp dnat to numgen random mod 2 map { 0 : 10.1.0.2 . 8080, 1 : 10.1.0.3 . 8080 } comment "default/web:http"
	}
	map services {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = {
			10.96.0.10 . udp . 53 : goto service_0,
			10.96.0.10 . tcp . 80 : goto service_1
		}
	}
	map node_ports {
		type inet_proto . inet_service : verdict
	}
	chain from_pods {
		type nat hook prerouting priority -100; policy accept;
		ip daddr . meta l4proto . th dport vmap @services
		fib daddr type local meta l4proto . th dport vmap @node_ports
	}
	chain from_here {
		type nat hook output priority -100; policy accept;
		ip daddr . meta l4proto . th dport vmap @services
		fib daddr type local meta l4proto . th dport vmap @node_ports
	}
	chain on_the_way_out {
		type nat hook postrouting priority 100; policy accept;
		ip saddr 10.1.0.0/16 ip daddr 10.1.0.0/16 ct status dnat masquerade
		ip saddr 10.1.0.0/16 ip daddr != 10.1.0.0/16 oifname != "berth0" masquerade
	}
	chain refuse_pods {
		type filter hook forward priority 0; policy accept;
		ip daddr 10.96.0.0/20 meta l4proto tcp reject with tcp reset
		ip daddr 10.96.0.0/20 reject
	}
	chain refuse_here {
		type filter hook output priority 0; policy accept;
		ip daddr 10.96.0.0/20 meta l4proto tcp reject with tcp reset
		ip daddr 10.96.0.0/20 reject
	}
}
)");
}

TEST(NftRuleset, AffinityAndNodePort) {
  const auto service = json(R"({"metadata":{"namespace":"d","name":"s"},
      "spec":{"clusterIP":"10.96.0.7","sessionAffinity":"ClientIP",
              "ports":[{"port":80,"nodePort":30080}]}})");
  const auto slice = json(R"({"metadata":{"namespace":"d",
      "labels":{"kubernetes.io/service-name":"s"}},"ports":[{"port":1}],
      "endpoints":[{"addresses":["10.1.0.1","10.1.0.2"]}]})");
  const std::string text =
      nft_ruleset(kNetwork, service_ports(std::vector{service}, std::vector{slice}));
  EXPECT_THAT(text, HasSubstr("jhash ip saddr mod 2"));
  EXPECT_THAT(text, HasSubstr("tcp . 30080 : goto service_0"));
}

TEST(NftRuleset, NothingInAnObjectBreaksOut) {
  const auto service = json(R"({"metadata":{"namespace":"d\"; flush ruleset; ","name":"s\n}"},
      "spec":{"clusterIP":"10.96.0.7","ports":[{"port":80,"name":"\"x"}]}})");
  const auto slice = json(R"({"metadata":{"namespace":"d\"; flush ruleset; ",
      "labels":{"kubernetes.io/service-name":"s\n}"}},"ports":[{"port":1,"name":"\"x"}],
      "endpoints":[{"addresses":["10.1.0.1; drop","10.1.0.2"]}]})");
  const std::string text =
      nft_ruleset(kNetwork, service_ports(std::vector{service}, std::vector{slice}));
  EXPECT_THAT(text, HasSubstr("comment \"d; flush ruleset; /s}:x\""));
  EXPECT_THAT(text, Not(HasSubstr("drop")));
}

TEST(NftRuleset, WhereOthersMayHaveTheAddressesNothingIsRefused) {
  ServiceNetwork network = kNetwork;
  network.services.reset();
  EXPECT_THAT(nft_ruleset(network, {}), Not(HasSubstr("reject")));
}

}  // namespace
}  // namespace berth::node
