#include "cli/server/endpoint.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include <openssl/evp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/text.h"
#include "objects/yaml.h"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

Result<std::string> read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(ErrorCode::kNotFound, "cannot be read", file.string());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<std::string> from_base64(std::string_view text, const std::string& where) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  if (length < 0) return fail(ErrorCode::kInvalid, "not base64", where);
  size_t size = static_cast<size_t>(length);
  for (auto at = text.rbegin(); at != text.rend() && *at == '=' && size > 0; ++at) --size;
  bytes.resize(size);
  return bytes;
}

/// One piece of a kubeconfig that may stand in it or in a file of its own.
Result<std::string> read_part(const Json& section, std::string_view field, const fs::path& file) {
  const std::string in_place = std::string(field) + "-data";
  const std::string_view bytes = objects::find_string(section, {in_place});
  if (!bytes.empty()) return from_base64(bytes, file.string() + ": " + in_place);
  const std::string_view path = objects::find_string(section, {field});
  if (path.empty()) return std::string();
  return read_file(file.parent_path() / path);
}

/// The entry of a kubeconfig list (`clusters`, `users`, `contexts`) with this name.
const Json* find_entry(const Json& config, std::string_view list, std::string_view name,
                       std::string_view body) {
  for (const Json& entry : objects::find_array(config, {list})) {
    if (objects::find_string(entry, {"name"}) == name) return objects::find(entry, {body});
  }
  return nullptr;
}

Result<> read_server(const Json& cluster, const fs::path& file, Endpoint& endpoint) {
  std::string_view address = objects::find_string(cluster, {"server"});
  if (address.starts_with("unix://")) {
    endpoint.socket = address.substr(7);
    return {};
  }
  endpoint.tls = !address.starts_with("http://");
  const size_t scheme = address.find("://");
  if (scheme != std::string_view::npos) address.remove_prefix(scheme + 3);
  address = address.substr(0, address.find('/'));
  const size_t bracket = address.find(']');
  const size_t colon = address.find(':', bracket == std::string_view::npos ? 0 : bracket);
  endpoint.host = address.substr(0, colon);
  if (bracket != std::string_view::npos) endpoint.host = address.substr(1, bracket - 1);
  endpoint.port = colon == std::string_view::npos ? (endpoint.tls ? "443" : "80")
                                                  : std::string(address.substr(colon + 1));
  if (endpoint.host.empty()) {
    return fail(ErrorCode::kInvalid, "the cluster has no server address", file.string(),
                "set clusters[].cluster.server to https://HOST:PORT");
  }
  endpoint.server_name = objects::find_string(cluster, {"tls-server-name"}, endpoint.host);
  endpoint.skip_verification = objects::find_bool(cluster, {"insecure-skip-tls-verify"});
  BERTH_TRY(endpoint.ca_pem, read_part(cluster, "certificate-authority", file));
  return {};
}

Result<> read_user(const Json& user, const fs::path& file, Endpoint& endpoint) {
  if (objects::find(user, {"exec"}) != nullptr) {
    return fail(ErrorCode::kUnsupported, "the user signs in through an exec plugin", file.string(),
                "use a context with a token or a client certificate");
  }
  endpoint.token = objects::find_string(user, {"token"});
  const std::string_view token_file = objects::find_string(user, {"tokenFile"});
  if (endpoint.token.empty() && !token_file.empty()) {
    BERTH_TRY(const std::string text, read_file(file.parent_path() / token_file));
    endpoint.token = trim(text);
  }
  BERTH_TRY(endpoint.certificate_pem, read_part(user, "client-certificate", file));
  BERTH_TRY(endpoint.key_pem, read_part(user, "client-key", file));
  return {};
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
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

Result<Endpoint> read_kubeconfig(const fs::path& file, const std::string& context_name) {
  BERTH_TRY(const std::string text, read_file(file));
  BERTH_TRY(const std::vector<objects::YamlDocument> documents,
            objects::parse_yaml(text, file.string()));
  if (documents.empty()) return fail(ErrorCode::kInvalid, "the file is empty", file.string());
  const Json& config = documents.front().value;

  const std::string name = context_name.empty()
                               ? std::string(objects::find_string(config, {"current-context"}))
                               : context_name;
  const Json* context = find_entry(config, "contexts", name, "context");
  if (context == nullptr) {
    std::string known;
    for (const Json& entry : objects::find_array(config, {"contexts"})) {
      known += (known.empty() ? "" : ", ") + std::string(objects::find_string(entry, {"name"}));
    }
    return fail(ErrorCode::kInvalid, "no context `" + name + "`", file.string(),
                known.empty() ? "it has none" : "it has " + known);
  }
  const Json* cluster =
      find_entry(config, "clusters", objects::find_string(*context, {"cluster"}), "cluster");
  if (cluster == nullptr) {
    return fail(ErrorCode::kInvalid, "context `" + name + "` names a cluster that is not there",
                file.string());
  }
  Endpoint endpoint;
  endpoint.source = file.string();
  endpoint.ns = objects::find_string(*context, {"namespace"}, "default");
  BERTH_CHECK(read_server(*cluster, file, endpoint));
  if (const Json* user =
          find_entry(config, "users", objects::find_string(*context, {"user"}), "user")) {
    BERTH_CHECK(read_user(*user, file, endpoint));
  }
  return endpoint;
}

Result<Endpoint> find_endpoint(const Globals& globals, const SearchPath& search) {
  std::optional<Endpoint> found;
  if (!globals.kubeconfig.empty()) {
    BERTH_TRY(found, read_kubeconfig(globals.kubeconfig, globals.context));
  }
  for (const fs::path& file : search.kubeconfigs) {
    if (found || ::access(file.c_str(), R_OK) != 0) continue;
    BERTH_TRY(found, read_kubeconfig(file, globals.context));
  }
  for (const fs::path& socket : search.sockets) {
    if (found || ::access(socket.c_str(), W_OK) != 0) continue;
    found.emplace();
    found->socket = socket;
    found->source = socket.string();
    // An added user's namespace has their name.
    const passwd* user = ::geteuid() == 0 ? nullptr : ::getpwuid(::geteuid());
    if (user != nullptr) found->ns = user->pw_name;
  }
  if (!found) {
    return fail(ErrorCode::kUnavailable, "no server is known", "",
                "start one with `berth serve`, or name its kubeconfig with --kubeconfig FILE");
  }
  if (!globals.ns.empty()) found->ns = globals.ns;
  return *std::move(found);
}

Result<Endpoint> find_local_endpoint(const Globals& globals, const SearchPath& search) {
  BERTH_TRY(Endpoint endpoint, find_endpoint(globals, search));
  if (!endpoint.socket.empty()) return endpoint;
  std::vector<fs::path> sockets{fs::path(endpoint.source).parent_path() / "api.sock"};
  sockets.insert(sockets.end(), search.sockets.begin(), search.sockets.end());
  for (const fs::path& socket : sockets) {
    if (::access(socket.c_str(), W_OK) != 0) continue;
    Endpoint local;
    local.socket = socket;
    local.source = socket.string();
    local.ns = endpoint.ns;
    return local;
  }
  return fail(ErrorCode::kUnavailable, "the server is not on this machine, or has no local socket",
              endpoint.source, "run this where `berth serve` runs, or write a manifest");
}

}  // namespace berth::cli
