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
users:
- name: u
  user: {)" +
           user + "}\n";
  }

  fs::path folder_;
};

TEST_F(EndpointTest, TheFlagGoesBeforeWhatIsFound) {
  SearchPath search;
  search.kubeconfigs = {folder_ / "missing", write("found", config("https://found", "token: t"))};
  Globals globals;
  EXPECT_EQ(find_endpoint(globals, search)->connection.endpoint.host, "found");
  globals.kubeconfig = write("named", config("https://named", "token: t"));
  globals.ns = "mine";
  EXPECT_EQ(find_endpoint(globals, search)->connection.endpoint.host, "named");
  EXPECT_EQ(find_endpoint(globals, search)->connection.ns, "mine");
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
  EXPECT_EQ(found->connection.endpoint.local_socket, folder_ / "api.sock");
  search.kubeconfigs = {write("kubeconfig", config("https://found", "token: t"))};
  EXPECT_EQ(find_endpoint({}, search)->connection.endpoint.host, "found");
  const auto local = find_local_endpoint({}, search);
  ASSERT_TRUE(local);
  EXPECT_EQ(local->connection.endpoint.local_socket, folder_ / "api.sock");
  EXPECT_EQ(local->connection.ns, "research");
}

}  // namespace
}  // namespace berth::cli
