#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "client/api_client.h"
#include "core/serving/dispatcher.h"
#include "gateway/demand_reporter.h"
#include "gateway/proxy/settings.h"

namespace berth::gateway {

struct GatewayOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 8090;  ///< 0 picks a free one
  int threads = 2;
  std::filesystem::path certificate, key;  ///< PEM; both or none
  std::filesystem::path upstream_ca;       ///< empty: the system's authorities
  std::vector<std::pair<std::string, Upstream>> upstreams;
  client::ApiClient* api = nullptr;  ///< models, servers and keys; outlives the gateway
  DemandReporter::Send report;       ///< where demand is told; empty: nowhere
  std::filesystem::path key_file;    ///< beside those of the API
  std::string anonymous_tenant;      ///< empty: a key is needed
  std::string access_log;            ///< a file, `-` for stdout, empty for none
  std::string health_path = "/health";
  std::string build;
  ProxySettings proxy;
  core::ModelDispatcher::Options dispatch;
  std::function<void(const std::string& line)> remark;  ///< for the log, from any thread
};

/// The OpenAI-compatible proxy.
class Gateway {
 public:
  /// Listens when it returns.
  static Result<std::unique_ptr<Gateway>> start(GatewayOptions options, const Clock& clock);
  virtual ~Gateway() = default;

  virtual uint16_t port() const = 0;
  /// Reads the key file again. It is also read within a second of a change.
  virtual Result<> reload_keys() = 0;
  /// Accepts nothing more, and waits until every request is answered, for `limit` at most. The
  /// number of clients that are still there.
  virtual int64_t drain(Duration limit) = 0;
};

}  // namespace berth::gateway
