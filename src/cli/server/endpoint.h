#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/globals.h"
#include "client/connection.h"

namespace berth::cli {

/// A server and how it was found.
struct Endpoint {
  client::Connection connection;
  std::string source;  ///< the file that said so, for messages

  bool is_local() const { return !connection.endpoint.local_socket.empty(); }
  /// `127.0.0.1:6443`, or the socket.
  std::string place() const;
};

/// Where a kubeconfig or a local socket may be when none is named: `$KUBECONFIG`, then the default
/// data folders.
struct SearchPath {
  std::vector<std::filesystem::path> kubeconfigs;
  std::vector<std::filesystem::path> sockets;

  static SearchPath of_this_user();
};

/// The server that these options mean. The message when there is none says how to start one.
Result<Endpoint> find_endpoint(const Globals& globals, const SearchPath& search);

/// The same server through its local socket, where the kernel vouches for who we are.
Result<Endpoint> find_local_endpoint(const Globals& globals, const SearchPath& search);

}  // namespace berth::cli
