#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "apiserver/server.h"
#include "client/sync_client.h"

namespace berth::apiserver {

inline Json json(std::string_view text) {
  return boost::json::parse(text);
}

class WallClock final : public Clock {
 public:
  Time now() const override {
    return {std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count()};
  }
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-test-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline const client::Resource kPods{"", "v1", "pods"};
inline const client::Resource kConfigMaps{"", "v1", "configmaps"};
inline const client::Resource kNamespaces{"", "v1", "namespaces"};
inline const client::Resource kDeployments{"apps", "v1", "deployments"};

/// A server on a folder of its own, and a blocking client in-process.
class ServerTest : public testing::Test {
 protected:
  void SetUp() override { start(); }

  void start() {
    auto started = Server::start({folder_.path() / "data", "127.0.0.1", 0, &clock_});
    ASSERT_TRUE(started.has_value()) << started.error().to_string();
    server_ = *std::move(started);
    api_.emplace(server_->client());
  }
  void restart() {
    api_.reset();
    server_.reset();
    start();
  }

  static Json config_map(std::string_view name, std::string_view value = "1") {
    return JsonObject{{"apiVersion", "v1"},
                      {"kind", "ConfigMap"},
                      {"metadata", JsonObject{{"name", name}}},
                      {"data", JsonObject{{"key", value}}}};
  }
  static Json pod(std::string_view name) {
    return JsonObject{
        {"apiVersion", "v1"},
        {"kind", "Pod"},
        {"metadata", JsonObject{{"name", name}}},
        {"spec",
         JsonObject{{"containers", JsonArray{JsonObject{{"name", "main"}, {"image", "host"}}}}}}};
  }

  TemporaryFolder folder_;
  WallClock clock_;
  std::unique_ptr<Server> server_;
  std::optional<client::SyncClient> api_;
};

}  // namespace berth::apiserver
