#include "client/connection.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace berth::client {
namespace {

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-test-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ConnectionTest() override { std::filesystem::remove_all(folder_); }

  Result<Connection> read(const std::string& user, const std::string& server = "https://h:6443",
                          const std::string& context = {}) {
    std::ofstream(folder_ / "config")
        << "current-context: c\n"
        << "clusters: [{name: k, cluster: {server: '" << server
        << "', certificate-authority: ca.crt}}]\n"
        << "contexts: [{name: c, context: {cluster: k, user: u, namespace: team}}]\n"
        << "users: [{name: u, user: {" << user << "}}]\n";
    std::ofstream(folder_ / "ca.crt") << "the authority";
    return Connection::from_kubeconfig(folder_ / "config", context);
  }

  std::filesystem::path folder_;
};

TEST_F(ConnectionTest, ReadsAKubeconfig) {
  const auto connection = read("token: t");
  ASSERT_TRUE(connection) << connection.error().to_string();
  EXPECT_EQ(connection->endpoint, (platform::HttpEndpoint{"h", 6443, true, {}}));
  EXPECT_EQ(connection->ca_pem, "the authority");
  EXPECT_EQ(connection->token, "t");
  EXPECT_EQ(connection->ns, "team");
}

TEST_F(ConnectionTest, ReadsDataInBase64AndFilesBesideIt) {
  const auto connection = read("client-certificate-data: b3Blbg==, tokenFile: tok");
  ASSERT_TRUE(connection) << connection.error().to_string();
  EXPECT_EQ(connection->certificate_pem, "open");
  EXPECT_EQ(connection->token_file, folder_ / "tok");
}

TEST_F(ConnectionTest, ReadsAddresses) {
  EXPECT_EQ(read("", "https://h")->endpoint.port, 443);
  EXPECT_EQ(read("", "http://h/")->endpoint.port, 80);
  EXPECT_EQ(read("", "https://[::1]:7")->endpoint.host, "::1");
  EXPECT_FALSE(read("", "h:1"));
  EXPECT_FALSE(read("", "https://h:port"));
  EXPECT_FALSE(read("", "https://h/below"));
}

TEST_F(ConnectionTest, SaysWhatIsMissing) {
  EXPECT_FALSE(read("exec: {command: x}"));
  EXPECT_FALSE(read("token: t", "https://h", "other"));
  EXPECT_FALSE(read("client-key: none.key"));
  EXPECT_FALSE(Connection::from_kubeconfig(folder_ / "none"));
  std::ofstream(folder_ / "bad") << "a: [";
  EXPECT_FALSE(Connection::from_kubeconfig(folder_ / "bad"));
}

}  // namespace
}  // namespace berth::client
