#include "node/network/cni_network.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/network/bridge.h"
#include "node/network/netns.h"
#include "platform/process.h"
#include "tests/integration/node/isolated.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CniNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = isolation_missing(); !missing.empty()) GTEST_SKIP() << missing;
    if (!fs::exists("/usr/lib/cni/bridge")) GTEST_SKIP() << "needs containernetworking-plugins";
    std::string pattern = (fs::temp_directory_path() / "berth-net-XXXXXX").string();
    data_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override {
    if (!data_.empty()) fs::remove_all(data_);
  }

  std::unique_ptr<CniNetwork> open(CniNetworkOptions options = {}) const {
    options.data_dir = data_;
    auto network = CniNetwork::open(std::move(options));
    EXPECT_TRUE(network) << network.error().to_string();
    return network ? *std::move(network) : nullptr;
  }

  static PodNetworkRequest pod(const std::string& uid) {
    return {.pod_uid = uid,
            .pod_namespace = "default",
            .pod_name = "pod-" + uid,
            .netns_name = pod_netns_name(uid),
            .ingress_bandwidth = "",
            .egress_bandwidth = "",
            .host_network = false};
  }

  static std::string run(std::vector<std::string> argv) {
    platform::ProcessOptions options;
    options.argv = std::move(argv);
    options.timeout = Duration::seconds(20);
    const auto result = platform::run_process(options);
    if (!result) return result.error().to_string();
    return result->output + result->errors;
  }

  std::string data_;
};

TEST_F(CniNetworkTest, PodsReachTheGatewayAndEachOtherAndLeaveNothing) {
  run_isolated([&] {
    auto network = open();
    ASSERT_TRUE(network);
    const auto a = network->ensure_pod_network(pod("a"));
    ASSERT_TRUE(a) << a.error().to_string();
    const auto b = network->ensure_pod_network(pod("b"));
    ASSERT_TRUE(b) << b.error().to_string();
    EXPECT_NE(a->ips, b->ips);
    const std::string in_a = "--net=" + a->netns_path;
    EXPECT_THAT(run({"nsenter", in_a, "busybox", "ping", "-c1", "-W2", "127.0.0.1"}),
                HasSubstr("1 packets received"));
    EXPECT_THAT(run({"nsenter", in_a, "busybox", "ping", "-c1", "-W2",
                     format_ipv4(network->plan().gateway())}),
                HasSubstr("1 packets received"));
    EXPECT_THAT(run({"nsenter", in_a, "busybox", "ping", "-c1", "-W2", b->ips[0]}),
                HasSubstr("1 packets received"));
    EXPECT_THAT(*network->list(), ElementsAre("a", "b"));

    const auto cleaned_early = network->cleanup();
    ASSERT_TRUE(cleaned_early);
    EXPECT_FALSE(*cleaned_early) << "pods are still there";

    EXPECT_TRUE(network->release("a"));
    EXPECT_TRUE(network->release("b"));
    EXPECT_TRUE(network->release("b")) << "a second time is fine";
    EXPECT_THAT(*network->list(), IsEmpty());
    EXPECT_FALSE(fs::exists(a->netns_path));
    const auto cleaned = network->cleanup();
    ASSERT_TRUE(cleaned) << cleaned.error().to_string();
    EXPECT_TRUE(*cleaned);
    EXPECT_THAT(run({"busybox", "ip", "link"}), Not(HasSubstr("berth0")));
  });
}

TEST_F(CniNetworkTest, ARestartFindsWhatIsThere) {
  run_isolated([&] {
    const auto first = open()->ensure_pod_network(pod("a"));
    ASSERT_TRUE(first) << first.error().to_string();
    auto again = open();
    const auto second = again->ensure_pod_network(pod("a"));
    ASSERT_TRUE(second) << second.error().to_string();
    EXPECT_EQ(second->ips, first->ips);
    EXPECT_EQ(second->netns_path, first->netns_path);
    EXPECT_TRUE(again->release("a"));
  });
}

TEST_F(CniNetworkTest, ThePodsNetworkStaysWhilePodsUseIt) {
  run_isolated([&] {
    ASSERT_TRUE(open()->ensure_pod_network(pod("a")));
    CniNetworkOptions other;
    other.data_dir = data_;
    other.pod_subnet = *parse_subnet("10.99.0.0/16");
    const auto refused = CniNetwork::open(other);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().to_string(), HasSubstr("--pod-subnet"));

    CniNetworkOptions services;
    services.service_subnet = *parse_subnet("10.97.0.0/16");
    auto network = open(services);
    ASSERT_TRUE(network) << "that of Services may change";
    EXPECT_EQ(network->plan().services.to_string(), "10.97.0.0/16");
    EXPECT_TRUE(network->release("a"));
  });
}

TEST_F(CniNetworkTest, ARestartOfTheMachineMakesItAnew) {
  run_isolated([&] { ASSERT_TRUE(open()->ensure_pod_network(pod("a"))); });
  run_isolated([&] {
    auto network = open();
    EXPECT_THAT(*network->list(), ElementsAre("a")) << "the lease survives the namespace";
    const auto attachment = network->ensure_pod_network(pod("a"));
    ASSERT_TRUE(attachment) << attachment.error().to_string();
    EXPECT_TRUE(is_netns(attachment->netns_path));
    EXPECT_TRUE(network->release("a"));
    EXPECT_THAT(*network->list(), IsEmpty());
  });
}

TEST_F(CniNetworkTest, AFailureLeavesNothing) {
  run_isolated([&] {
    auto network = open();
    PodNetworkRequest request = pod("a");
    request.ingress_bandwidth = "fast";
    const auto attachment = network->ensure_pod_network(request);
    ASSERT_FALSE(attachment);
    EXPECT_THAT(attachment.error().to_string(), HasSubstr("kubernetes.io/ingress-bandwidth"));
    EXPECT_THAT(*network->list(), IsEmpty());
    EXPECT_FALSE(fs::exists("/run/netns/" + pod_netns_name("a")));
  });
}

TEST_F(CniNetworkTest, AFullSubnetIsAnErrorAndFreedAddressesComeBack) {
  run_isolated([&] {
    CniNetworkOptions options;
    options.pod_subnet = *parse_subnet("10.99.0.0/28");
    auto network = open(options);
    std::vector<std::string> uids;
    std::string message;
    for (int i = 0; i < 16 && message.empty(); ++i) {
      const auto attachment = network->ensure_pod_network(pod(std::to_string(i)));
      if (attachment)
        uids.push_back(std::to_string(i));
      else
        message = attachment.error().to_string();
    }
    EXPECT_EQ(uids.size(), 13U);  // 16 less network, gateway and broadcast
    EXPECT_THAT(message, HasSubstr("no IP addresses available"));
    EXPECT_EQ(network->list()->size(), uids.size());
    EXPECT_TRUE(network->release(uids[5]));
    EXPECT_TRUE(network->ensure_pod_network(pod("late")));
    EXPECT_TRUE(network->release("late"));
    for (const std::string& uid : uids) EXPECT_TRUE(network->release(uid));
  });
}

TEST_F(CniNetworkTest, BandwidthAnnotationsReachTheKernel) {
  run_isolated([&] {
    auto network = open();
    PodNetworkRequest request = pod("a");
    request.ingress_bandwidth = "8M";
    const auto attachment = network->ensure_pod_network(request);
    if (!attachment) {
      EXPECT_THAT(attachment.error().to_string(), HasSubstr("bandwidth"));
      GTEST_SKIP() << "this kernel has no token bucket filter: " << attachment.error().to_string();
    }
    EXPECT_THAT(run({"tc", "qdisc"}), HasSubstr("tbf"));
    EXPECT_TRUE(network->release("a"));
  });
}

TEST_F(CniNetworkTest, AnotherNetworkByConfDir) {
  run_isolated([&] {
    const std::string conf = data_ + "/conf";
    fs::create_directories(conf);
    std::ofstream(conf + "/10-ptp.conflist") << R"({"cniVersion":"0.4.0","name":"mine","plugins":[
        {"type":"ptp","ipam":{"type":"host-local","subnet":"10.98.0.0/24","dataDir":")" +
                                                    data_ + R"(/leases"}}]})";
    CniNetworkOptions options;
    options.conf_dir = conf;
    auto network = open(options);
    ASSERT_TRUE(network);
    EXPECT_FALSE(network->owns_bridge());
    const auto attachment = network->ensure_pod_network(pod("a"));
    ASSERT_TRUE(attachment) << attachment.error().to_string();
    EXPECT_THAT(attachment->ips[0], ::testing::StartsWith("10.98.0."));
    EXPECT_TRUE(network->release("a"));
    EXPECT_THAT(*network->list(), IsEmpty());
    EXPECT_FALSE(fs::exists(data_ + "/leases/mine/" + attachment->ips[0]));
  });
}

TEST_F(CniNetworkTest, TwoOnOneMachineKeepApart) {
  run_isolated([&] {
    auto first = open();
    const std::string first_data = data_;
    std::string pattern = (fs::temp_directory_path() / "berth-net-XXXXXX").string();
    data_ = ::mkdtemp(pattern.data());
    auto second = open();
    EXPECT_NE(first->plan().bridge, second->plan().bridge);
    EXPECT_FALSE(first->plan().pods.overlaps(second->plan().pods));
    EXPECT_TRUE(first->plan().reserves_services);
    EXPECT_FALSE(second->plan().reserves_services) << "the first has the route there";
    EXPECT_TRUE(first->cleanup());
    EXPECT_TRUE(interface_exists(second->plan().bridge));
    fs::remove_all(first_data);
  });
}

}  // namespace
}  // namespace berth::node
