#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <thread>

#include <arpa/inet.h>
#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "node/network/network.h"
#include "platform/process.h"
#include "tests/integration/node/isolated.h"
#include "tests/integration/node/network/memory_api.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

struct Output {
  int exit_code = -1;
  std::string text;
};

Output run(std::vector<std::string> argv) {
  platform::ProcessOptions options;
  options.argv = std::move(argv);
  options.timeout = Duration::seconds(20);
  const auto result = platform::run_process(options);
  if (!result) return {.exit_code = -1, .text = result.error().to_string()};
  return {.exit_code = result->exit_code, .text = result->output + result->errors};
}

Output get(const std::string& address) {
  const size_t colon = address.find(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(*parse_ipv4(address.substr(0, colon)));
  to.sin_port = htons(static_cast<uint16_t>(
      colon == std::string::npos ? 80 : std::stoi(address.substr(colon + 1))));
  const platform::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = 3, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (::connect(fd.get(), static_cast<sockaddr*>(static_cast<void*>(&to)), sizeof(to)) != 0)
    return {.exit_code = 1, .text = std::strerror(errno)};
  constexpr std::string_view kRequest = "GET / HTTP/1.0\r\n\r\n";
  if (::send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0)
    return {.exit_code = 1, .text = std::strerror(errno)};
  std::string text(4096, '\0');
  size_t size = 0;
  for (ssize_t n = 1; n > 0 && size < text.size(); size += static_cast<size_t>(n > 0 ? n : 0))
    n = ::recv(fd.get(), text.data() + size, text.size() - size, 0);
  text.resize(size);
  const size_t body = text.find("\r\n\r\n");
  if (body == std::string::npos) return {.exit_code = 1, .text = text};
  return {.exit_code = 0, .text = text.substr(body + 4)};
}

bool eventually(const std::function<bool()>& condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(8);
  while (std::chrono::steady_clock::now() < limit) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

/// A machine with a network, pods that answer with their name, and Services in front of them.
class Machine {
 public:
  explicit Machine(std::string data) : data_(std::move(data)) { start(); }
  ~Machine() {
    for (const pid_t pid : servers_) {
      ::kill(pid, SIGKILL);
      (void)platform::wait_process(pid, Duration::seconds(5));
    }
  }

  void start() {
    auto started = Network::start({.data_dir = data_}, api);
    ASSERT_TRUE(started) << started.error().to_string();
    network = *std::move(started);
  }

  /// A pod that serves its own name at port 8080.
  PodAttachment pod(const std::string& name) {
    const auto attachment = network->ensure_pod_network({.pod_uid = name,
                                                         .pod_namespace = "default",
                                                         .pod_name = name,
                                                         .netns_name = pod_netns_name(name),
                                                         .ingress_bandwidth = "",
                                                         .egress_bandwidth = ""});
    EXPECT_TRUE(attachment) << attachment.error().to_string();
    if (!attachment) return {};
    pods_[name] = *attachment;
    const std::string www = data_ + "/www-" + name;
    fs::create_directories(www);
    std::ofstream(www + "/index.html") << name;
    platform::ProcessOptions server;
    server.argv = {
        "nsenter", "--net=" + attachment->netns_path, "busybox", "httpd", "-f", "-p", "8080", "-h",
        www};
    const auto pid = platform::spawn_process(server);
    EXPECT_TRUE(pid);
    servers_.push_back(*pid);
    EXPECT_TRUE(eventually([&] { return ask({}, attachment->ips[0] + ":8080").exit_code == 0; }));
    return *attachment;
  }

  void service(const std::string& name, const std::string& node_port = "") {
    api.put("services",
            boost::json::parse(R"({"metadata":{"namespace":"default","name":")" + name +
                               R"("},"spec":{"clusterIP":"10.96.0.10","ports":[{"port":80)" +
                               (node_port.empty() ? "" : R"(,"nodePort":)" + node_port) + "}]}}"));
  }

  void endpoints(const std::string& service, const std::vector<std::string>& ready,
                 const std::vector<std::string>& leaving = {}) {
    JsonArray list;
    for (const std::string& pod : ready)
      list.push_back(boost::json::parse(R"({"addresses":[")" + pods_[pod].ips[0] +
                                        R"("],"conditions":{"ready":true}})"));
    for (const std::string& pod : leaving)
      list.push_back(boost::json::parse(
          R"({"addresses":[")" + pods_[pod].ips[0] +
          R"("],"conditions":{"ready":false,"serving":true,"terminating":true}})"));
    Json slice = boost::json::parse(R"({"metadata":{"namespace":"default","name":")" + service +
                                    R"(-1","labels":{"kubernetes.io/service-name":")" + service +
                                    R"("}},"addressType":"IPv4","ports":[{"port":8080}]})");
    slice.as_object()["endpoints"] = std::move(list);
    api.put("endpointslices", std::move(slice));
  }

  /// HTTP GET of `address` (`ip` or `ip:port`), from a pod or from the machine.
  static Output ask(const PodAttachment& from, const std::string& address) {
    Output output;
    std::thread([&] {  // a thread may change its network alone
      if (!from.netns_path.empty()) {
        const platform::Fd netns(::open(from.netns_path.c_str(), O_RDONLY | O_CLOEXEC));
        ASSERT_EQ(::setns(netns.get(), CLONE_NEWNET), 0);
      }
      output = get(address);
    })
        .join();
    return output;
  }

  std::set<std::string> answers(const PodAttachment& from, const std::string& address, int times) {
    std::set<std::string> result;
    for (int i = 0; i < times; ++i) result.insert(ask(from, address).text);
    return result;
  }

  MemoryApi api;
  std::unique_ptr<Network> network;

 private:
  const std::string data_;
  std::map<std::string, PodAttachment> pods_;
  std::vector<pid_t> servers_;
};

class ServicesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = isolation_missing(); !missing.empty()) GTEST_SKIP() << missing;
    if (!fs::exists("/usr/lib/cni/bridge")) GTEST_SKIP() << "needs containernetworking-plugins";
    for (const char* program : {"nft", "nsenter", "busybox"}) {
      if (platform::find_program(program).empty()) GTEST_SKIP() << "needs " << program;
    }
    std::string pattern = (fs::temp_directory_path() / "berth-svc-XXXXXX").string();
    data_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override {
    if (!data_.empty()) fs::remove_all(data_);
  }
  std::string data_;
};

TEST_F(ServicesTest, SpreadsOverReadyEndpointsFromEverywhere) {
  run_isolated([&] {
    Machine machine(data_);
    const PodAttachment a = machine.pod("a");
    const PodAttachment b = machine.pod("b");
    machine.service("web");
    machine.endpoints("web", {"a", "b"});
    const std::string ip = "10.96.0.10";
    EXPECT_TRUE(eventually([&] { return Machine::ask({}, ip).exit_code == 0; }));
    EXPECT_THAT(machine.answers({}, ip, 30), UnorderedElementsAre("a", "b")) << "from the machine";
    EXPECT_THAT(machine.answers(a, ip, 30), UnorderedElementsAre("a", "b"))
        << "from a pod, also to itself";

    machine.endpoints("web", {"b"}, {"a"});
    EXPECT_TRUE(
        eventually([&] { return machine.answers(b, ip, 20) == std::set<std::string>{"b"}; }));
    EXPECT_EQ(machine.answers(b, ip, 20), std::set<std::string>{"b"}) << "a is on its way out";
  });
}

TEST_F(ServicesTest, ADrainedPodGetsNoNewConnectionsFromThatMomentOn) {
  run_isolated([&] {
    Machine machine(data_);
    machine.pod("a");
    machine.pod("b");
    machine.service("web");
    machine.endpoints("web", {"a", "b"});
    const std::string ip = "10.96.0.10";
    ASSERT_TRUE(eventually([&] { return machine.answers({}, ip, 20).size() == 2; }));
    ASSERT_TRUE(machine.network->drain("a"));
    EXPECT_EQ(machine.answers({}, ip, 20), std::set<std::string>{"b"});
    EXPECT_TRUE(machine.network->drain("unknown"));
    EXPECT_TRUE(machine.network->release("a"));
    EXPECT_TRUE(machine.network->release("b"));
    EXPECT_EQ(machine.network->cleanup_all(), Result<bool>(true));
    EXPECT_FALSE(machine.network->drain("a")) << "after the end it must not wait for ever";
  });
}

TEST_F(ServicesTest, WithoutEndpointsConnectionsAreRefusedAtOnce) {
  run_isolated([&] {
    Machine machine(data_);
    const PodAttachment a = machine.pod("a");
    machine.service("web");
    const std::string ip = "10.96.0.10";
    ASSERT_TRUE(eventually([&] {
      return run({"nft", "list", "table", "ip", machine.network->plan().bridge}).exit_code == 0;
    }));
    const auto refused = [&](const PodAttachment& from) {
      return eventually(
          [&] { return Machine::ask(from, ip).text.find("refused") != std::string::npos; });
    };
    EXPECT_TRUE(refused({})) << Machine::ask({}, ip).text;
    EXPECT_TRUE(refused(a)) << Machine::ask(a, ip).text;
  });
}

TEST_F(ServicesTest, NodePortsAnswerAtTheMachinesAddress) {
  run_isolated([&] {
    Machine machine(data_);
    machine.pod("a");
    machine.service("web", "30080");
    machine.endpoints("web", {"a"});
    const std::string address = format_ipv4(machine.network->plan().gateway()) + ":30080";
    EXPECT_TRUE(eventually([&] { return Machine::ask({}, address).text == "a"; }));
  });
}

TEST_F(ServicesTest, AConnectionSurvivesTheEndOfItsEndpointsTurn) {
  run_isolated([&] {
    Machine machine(data_);
    const PodAttachment a = machine.pod("a");
    machine.pod("b");
    machine.service("web");
    machine.endpoints("web", {"a"});
    const std::string ip = "10.96.0.10";
    ASSERT_TRUE(eventually([&] { return Machine::ask({}, ip).text == "a"; }));
    // One request in two halves, with the change of endpoints between them.
    const std::string script = "( printf 'GET / HTTP/1.0\\r\\n'; while [ ! -e " + data_ +
                               "/go ]; do sleep 0.05; done; printf '\\r\\n'; sleep 1 ) | nc " + ip +
                               " 80 > " + data_ + "/answer";
    platform::ProcessOptions client;
    client.argv = {"busybox", "sh", "-c", script};
    const auto pid = platform::spawn_process(client);
    ASSERT_TRUE(pid);
    ASSERT_TRUE(eventually([&] {
      return run({"nsenter", "--net=" + a.netns_path, "busybox", "netstat", "-tn"})
                 .text.find("ESTABLISHED") != std::string::npos;
    }));
    machine.endpoints("web", {"b"}, {"a"});
    ASSERT_TRUE(eventually([&] { return Machine::ask({}, ip).text == "b"; }));
    std::ofstream(data_ + "/go") << "";
    (void)platform::wait_process(*pid, Duration::seconds(10));
    std::ifstream file(data_ + "/answer");
    const std::string answer{std::istreambuf_iterator<char>(file), {}};
    EXPECT_THAT(answer, HasSubstr("200 OK"));
    EXPECT_THAT(answer, ::testing::EndsWith("a"));
  });
}

TEST_F(ServicesTest, HostsFilesFollow) {
  run_isolated([&] {
    Machine machine(data_);
    const PodAttachment a = machine.pod("a");
    const std::string path = data_ + "/pods/a/hosts";
    const auto read = [&] {
      std::ifstream file(path);
      return std::string{std::istreambuf_iterator<char>(file), {}};
    };
    EXPECT_THAT(read(), HasSubstr(a.ips[0] + " a\n"));
    machine.service("web");
    const std::string ip = "10.96.0.10";
    EXPECT_TRUE(eventually([&] {
      return read().find(ip + " web web.default web.default.svc ") != std::string::npos;
    })) << read();
    machine.api.put("pods", boost::json::parse(
                                R"({"metadata":{"namespace":"default","name":"a","uid":"a"},
        "spec":{"hostname":"train-0"},"status":{"podIP":")" +
                                a.ips[0] + R"("}})"));
    EXPECT_TRUE(eventually([&] {
      return read().find(a.ips[0] + " train-0\n") != std::string::npos;
    })) << read();
    machine.api.erase("services", "default", "web");
    EXPECT_TRUE(eventually([&] { return read().find("web") == std::string::npos; })) << read();
  });
}

TEST_F(ServicesTest, ARestartKeepsServicesAndTheEndLeavesNothing) {
  run_isolated([&] {
    Machine machine(data_);
    machine.pod("a");
    machine.service("web");
    machine.endpoints("web", {"a"});
    const std::string ip = "10.96.0.10";
    ASSERT_TRUE(eventually([&] { return Machine::ask({}, ip).text == "a"; }));
    machine.network.reset();
    EXPECT_EQ(Machine::ask({}, ip).text, "a") << "Berth is gone, the Service is not";
    machine.start();
    EXPECT_EQ(machine.network->cleanup_all(), Result<bool>(false));
    EXPECT_TRUE(machine.network->sweep({"a"}));
    EXPECT_EQ(machine.network->list()->size(), 1U);
    EXPECT_TRUE(machine.network->sweep({}));
    EXPECT_EQ(machine.network->cleanup_all(), Result<bool>(true));
    EXPECT_EQ(run({"nft", "list", "ruleset"}).text, "");
    EXPECT_THAT(run({"busybox", "ip", "link"}).text, Not(HasSubstr("berth")));
    EXPECT_TRUE(fs::is_empty("/run/netns"));
  });
}

}  // namespace
}  // namespace berth::node
