#include "cli/server/endpoint.h"

#include <cstdlib>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "base/text.h"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

Result<Endpoint> read(const fs::path& file, const std::string& context) {
  BERTH_TRY(client::Connection connection, client::Connection::from_kubeconfig(file, context));
  return Endpoint{std::move(connection), file.string()};
}

}  // namespace

std::string Endpoint::place() const {
  return is_local() ? connection.endpoint.local_socket.string()
                    : fmt::format("{}:{}", connection.endpoint.host, connection.endpoint.port);
}

SearchPath SearchPath::of_this_user() {
  SearchPath search;
  if (const char* list = std::getenv("KUBECONFIG"); list != nullptr) {
    for (std::string_view file : split(list, ':')) {
      if (!file.empty()) search.kubeconfigs.emplace_back(file);
    }
  }
  std::vector<fs::path> folders;
  if (::geteuid() == 0) folders.emplace_back("/var/lib/berth");
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    folders.push_back(fs::path(home) / ".local/share/berth");
  }
  if (::geteuid() != 0) folders.emplace_back("/var/lib/berth");
  for (const fs::path& folder : folders) {
    search.kubeconfigs.push_back(folder / "kubeconfig");
    search.sockets.push_back(folder / "api.sock");
  }
  return search;
}

Result<Endpoint> find_endpoint(const Globals& globals, const SearchPath& search) {
  std::optional<Endpoint> found;
  if (!globals.kubeconfig.empty()) {
    if (::access(globals.kubeconfig.c_str(), R_OK) != 0) {
      return fail(ErrorCode::kInvalid, "no such file, or not readable", globals.kubeconfig,
                  "`berth serve` writes DIR/kubeconfig; without --kubeconfig it is looked for");
    }
    BERTH_TRY(found, read(globals.kubeconfig, globals.context));
  }
  for (const fs::path& file : search.kubeconfigs) {
    if (found || ::access(file.c_str(), R_OK) != 0) continue;
    BERTH_TRY(found, read(file, globals.context));
  }
  for (const fs::path& socket : search.sockets) {
    if (found || ::access(socket.c_str(), W_OK) != 0) continue;
    found = Endpoint{client::Connection::local(socket), socket.string()};
    // An added user's namespace has their name.
    const passwd* user = ::geteuid() == 0 ? nullptr : ::getpwuid(::geteuid());
    if (user != nullptr) found->connection.ns = user->pw_name;
  }
  if (!found) {
    return fail(ErrorCode::kUnavailable, "no server is known", "",
                "start one with `berth serve`, or name its kubeconfig with --kubeconfig FILE");
  }
  if (!globals.ns.empty()) found->connection.ns = globals.ns;
  return *std::move(found);
}

Result<Endpoint> find_local_endpoint(const Globals& globals, const SearchPath& search) {
  BERTH_TRY(Endpoint endpoint, find_endpoint(globals, search));
  if (endpoint.is_local()) return endpoint;
  std::vector<fs::path> sockets{fs::path(endpoint.source).parent_path() / "api.sock"};
  sockets.insert(sockets.end(), search.sockets.begin(), search.sockets.end());
  for (const fs::path& socket : sockets) {
    if (::access(socket.c_str(), W_OK) != 0) continue;
    Endpoint local{client::Connection::local(socket), socket.string()};
    local.connection.ns = endpoint.connection.ns;
    return local;
  }
  return fail(ErrorCode::kUnavailable, "the server is not on this machine, or has no local socket",
              endpoint.source, "run this where `berth serve` runs, or write a manifest");
}

}  // namespace berth::cli
