#include "cli/server/endpoint.h"

#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

class EndpointTest : public testing::Test {
 protected:
  EndpointTest() {
    folder_ = fs::path(testing::TempDir()) / ("berth-endpoint-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~EndpointTest() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  static std::string config(const std::string& server, const std::string& user) {
    return R"(
apiVersion: v1
kind: Config
current-context: here
clusters:
- name: c
  cluster:
    server: )" +
           server + R"(
    certificate-authority-data: SGVsbG8=
contexts:
- name: here
  context: {cluster: c, user: u, namespace: research}
- name: broken
  context: {cluster: missing, user: u}
users:
- name: u
  user: {)" +
           user + "}\n";
  }

  fs::path folder_;
};

TEST_F(EndpointTest, ReadsTheCurrentContext) {
  const auto read =
      read_kubeconfig(write("k", config("https://127.0.0.1:6443", "token: secret")), "");
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->host, "127.0.0.1");
  EXPECT_EQ(read->port, "6443");
  EXPECT_TRUE(read->tls);
  EXPECT_EQ(read->token, "secret");
  EXPECT_EQ(read->ns, "research");
  EXPECT_EQ(read->ca_pem, "Hello");
}

struct Address {
  std::string server;
  std::string host;
  std::string port;
};

TEST_F(EndpointTest, UnderstandsAddresses) {
  for (const auto& [server, host, port] :
       {Address{"https://k8s.example.com", "k8s.example.com", "443"},
        Address{"http://localhost:8001/", "localhost", "8001"},
        Address{"\"https://[::1]:6443\"", "::1", "6443"}}) {
    const auto read = read_kubeconfig(write("k", config(server, "token: t")), "");
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(read->host, host);
    EXPECT_EQ(read->port, port);
  }
}

TEST_F(EndpointTest, TokensMayStandInAFile) {
  write("token", "from-file\n");
  const auto read = read_kubeconfig(write("k", config("https://x", "tokenFile: token")), "");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->token, "from-file");
}

TEST_F(EndpointTest, SaysWhatIsWrong) {
  const std::string good = write("k", config("https://x", "token: t"));
  EXPECT_EQ(read_kubeconfig(good, "nowhere").error().to_string(),
            good + ": no context `nowhere`; it has here, broken");
  EXPECT_EQ(read_kubeconfig(good, "broken").error().what,
            "context `broken` names a cluster that is not there");
  EXPECT_EQ(read_kubeconfig(folder_ / "none", "").error().what, "cannot be read");
  const std::string plugin = write("p", config("https://x", "exec: {command: aws}"));
  EXPECT_EQ(read_kubeconfig(plugin, "").error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(read_kubeconfig(write("bad", "clusters: [unclosed"), ""));
}

TEST_F(EndpointTest, TheFlagGoesBeforeWhatIsFound) {
  SearchPath search;
  search.kubeconfigs = {folder_ / "missing", write("found", config("https://found", "token: t"))};
  Globals globals;
  EXPECT_EQ(find_endpoint(globals, search)->host, "found");
  globals.kubeconfig = write("named", config("https://named", "token: t"));
  globals.ns = "mine";
  EXPECT_EQ(find_endpoint(globals, search)->host, "named");
  EXPECT_EQ(find_endpoint(globals, search)->ns, "mine");
  globals.kubeconfig = (folder_ / "missing").string();
  EXPECT_FALSE(find_endpoint(globals, search)) << "a file that was named must be there";
}

TEST_F(EndpointTest, WithoutAServerItSaysHowToStartOne) {
  const auto none = find_endpoint({}, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().to_string(),
            "no server is known; start one with `berth serve`, or name its kubeconfig with "
            "--kubeconfig FILE");
}

TEST_F(EndpointTest, ALocalSocketIsTheLastResort) {
  SearchPath search;
  search.sockets = {write("api.sock", "")};
  const auto found = find_endpoint({}, search);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->socket, folder_ / "api.sock");
  search.kubeconfigs = {write("kubeconfig", config("https://found", "token: t"))};
  EXPECT_EQ(find_endpoint({}, search)->host, "found");
  const auto local = find_local_endpoint({}, search);
  ASSERT_TRUE(local);
  EXPECT_EQ(local->socket, folder_ / "api.sock");
  EXPECT_EQ(local->ns, "research");
}

}  // namespace
}  // namespace berth::cli
