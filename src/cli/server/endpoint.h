#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/globals.h"
#include "objects/json.h"

namespace berth::cli {

/// Where a server is, how to trust it, and who we are to it.
struct Endpoint {
  std::filesystem::path socket;  ///< a local socket; empty: the address below over TLS
  std::string host;
  std::string port;
  bool tls = true;
  std::string server_name;  ///< in the certificate; the host unless the kubeconfig says otherwise
  std::string ca_pem;       ///< empty: the machine's authorities
  std::string certificate_pem;
  std::string key_pem;
  std::string token;
  bool skip_verification = false;
  std::string ns = "default";
  std::string source;  ///< the file that said so, for messages
};

/// Where a kubeconfig may be when none is named: `$KUBECONFIG`, then the default data folders.
struct SearchPath {
  std::vector<std::filesystem::path> kubeconfigs;
  std::vector<std::filesystem::path> sockets;

  static SearchPath of_this_user();
};

/// Reads one context of a kubeconfig. Relative file names in it are relative to it.
Result<Endpoint> read_kubeconfig(const std::filesystem::path& file, const std::string& context);

std::string base64(std::string_view bytes);

/// The server that these options mean. The message when there is none says how to start one.
Result<Endpoint> find_endpoint(const Globals& globals, const SearchPath& search);

/// The same server through its local socket, where the kernel vouches for who we are.
Result<Endpoint> find_local_endpoint(const Globals& globals, const SearchPath& search);

}  // namespace berth::cli
