#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "platform/http/client.h"

namespace berth::client {

/// How to reach an API server and who to be there.
struct Connection {
  platform::HttpEndpoint endpoint;
  std::string ca_pem;
  bool verify = true;
  std::string verify_name;
  std::string token;
  std::filesystem::path token_file;  ///< read anew for each request: it may rotate
  std::string certificate_pem;
  std::string key_pem;
  std::string ns = "default";  ///< of the context

  /// From a kubeconfig; `context` empty: its current one. A context with an exec or auth-provider
  /// plugin is refused: no such user can be had without running it.
  static Result<Connection> from_kubeconfig(const std::filesystem::path& file,
                                            const std::string& context = {});
  /// As the service account of the pod that this runs in.
  static Result<Connection> in_cluster();
  /// Through a server's local socket, as the user of this process.
  static Connection local(const std::filesystem::path& socket);

  /// For a client that speaks to this server alone.
  platform::HttpClientOptions http_options() const;
};

}  // namespace berth::client
