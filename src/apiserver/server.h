#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "apiserver/providers.h"
#include "base/error.h"
#include "base/subnet.h"
#include "base/time.h"
#include "client/api_client.h"

namespace berth::apiserver {

struct ServerOptions {
  /// Made when it is missing; held by one server at a time. 0711: other users reach the socket in
  /// it, and nothing else, so what parts keep in it has modes of its own.
  std::filesystem::path data_dir;
  std::string address = "127.0.0.1";
  uint16_t port = 0;  ///< 0 picks a free one
  /// Outlives the server.
  const Clock* clock = nullptr;
  /// Services get their addresses from it.
  Subnet services = kServiceSubnet;
};

/// The embedded Kubernetes API: storage, HTTPS on `address`, and DIR/api.sock, where the kernel
/// says who is there. Writes DIR/kubeconfig (0600, admin) when it first starts.
class Server {
 public:
  /// Ready to serve when it returns. Fails, changing nothing, when the data folder is in use by
  /// another server, or its database cannot be read.
  static Result<std::unique_ptr<Server>> start(ServerOptions options);
  virtual ~Server() = default;

  /// Which parts answer what the server does not know itself. May be called again; a request that
  /// already runs may still use the former ones until `stop` returns.
  virtual void provide(Providers providers) = 0;

  /// A client that calls the server in-process, as the administrator. Lives as long as the server.
  virtual client::ApiClient& client() = 0;

  /// "https://127.0.0.1:41373"
  virtual std::string address() const = 0;
  virtual std::filesystem::path kubeconfig() const = 0;
  virtual std::filesystem::path socket() const = 0;

  /// Ends all requests and watches; afterwards nothing calls providers or callbacks. Watches of
  /// `client()` end with kUnavailable. Called by the destructor as well.
  virtual void stop() = 0;
};

}  // namespace berth::apiserver
