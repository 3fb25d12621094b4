#include "client/connection.h"

#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "objects/json.h"
#include "objects/yaml.h"
#include "platform/http/url.h"
#include "platform/storage/files.h"
#include "platform/tls/crypto.h"

namespace berth::client {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_string;

const Json* named(const Json& config, std::string_view list, std::string_view name) {
  for (const Json& entry : find_array(config, {list})) {
    if (find_string(entry, {"name"}) == name) return &entry;
  }
  return nullptr;
}

Result<platform::HttpEndpoint> parse_server(std::string_view url, const std::string& where) {
  auto parsed = platform::parse_http_url(url);
  if (!parsed)
    return fail(ErrorCode::kInvalid, fmt::format("the server `{}`: {}", url, parsed.error().what),
                where);
  if (!parsed->path.empty())
    return fail(ErrorCode::kUnsupported, "a server below a path is not supported", where);
  return std::move(parsed->endpoint);
}

/// The PEM text of `KEY-data`, or of the file that `KEY` names, relative to the kubeconfig.
Result<std::string> read_pem(const Json& entry, std::string_view key,
                             const std::filesystem::path& folder) {
  const std::string data_key = std::string(key) + "-data";
  if (const std::string_view data = find_string(entry, {data_key}); !data.empty()) {
    return platform::from_base64(data);
  }
  const std::string_view file = find_string(entry, {key});
  if (file.empty()) return std::string();
  return platform::read_file(folder / std::filesystem::path(file));
}

}  // namespace

Result<Connection> Connection::from_kubeconfig(const std::filesystem::path& file,
                                               const std::string& context) {
  BERTH_TRY(const std::string text, platform::read_file(file));
  BERTH_TRY(const auto documents, objects::parse_yaml(text, file.string()));
  const std::string where = file.string();
  if (documents.empty()) return fail(ErrorCode::kInvalid, "the kubeconfig is empty", where);
  const Json& config = documents.front().value;
  const std::string name =
      context.empty() ? std::string(find_string(config, {"current-context"})) : context;
  const Json* chosen = named(config, "contexts", name);
  if (chosen == nullptr) {
    return fail(ErrorCode::kInvalid, fmt::format("the kubeconfig has no context `{}`", name),
                where);
  }
  const Json* cluster = named(config, "clusters", find_string(*chosen, {"context", "cluster"}));
  if (cluster == nullptr || find(*cluster, {"cluster"}) == nullptr) {
    return fail(ErrorCode::kInvalid, fmt::format("context `{}` names no cluster", name), where);
  }
  const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
  const Json& target = *find(*cluster, {"cluster"});

  Connection connection;
  BERTH_TRY(connection.endpoint, parse_server(find_string(target, {"server"}), where));
  BERTH_TRY(connection.ca_pem, read_pem(target, "certificate-authority", folder));
  connection.verify = !find_bool(target, {"insecure-skip-tls-verify"});
  connection.verify_name = find_string(target, {"tls-server-name"});
  connection.ns = find_string(*chosen, {"context", "namespace"}, "default");

  const Json* user = named(config, "users", find_string(*chosen, {"context", "user"}));
  if (user == nullptr || find(*user, {"user"}) == nullptr) return connection;
  const Json& identity = *find(*user, {"user"});
  if (find(identity, {"exec"}) != nullptr || find(identity, {"auth-provider"}) != nullptr) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the user of context `{}` needs a credential plugin", name), where,
                "use a context with a token or a client certificate");
  }
  connection.token = find_string(identity, {"token"});
  if (const std::string_view path = find_string(identity, {"tokenFile"}); !path.empty()) {
    connection.token_file = folder / std::filesystem::path(path);
  }
  BERTH_TRY(connection.certificate_pem, read_pem(identity, "client-certificate", folder));
  BERTH_TRY(connection.key_pem, read_pem(identity, "client-key", folder));
  return connection;
}

Result<Connection> Connection::in_cluster() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) {
    return fail(ErrorCode::kNotFound, "this is no pod: KUBERNETES_SERVICE_HOST is not set", {},
                "give a kubeconfig");
  }
  const std::filesystem::path folder = "/var/run/secrets/kubernetes.io/serviceaccount";
  Connection connection;
  const std::string url = std::string(host).find(':') == std::string::npos
                              ? fmt::format("https://{}:{}", host, port)
                              : fmt::format("https://[{}]:{}", host, port);
  BERTH_TRY(connection.endpoint, parse_server(url, "KUBERNETES_SERVICE_HOST"));
  BERTH_TRY(connection.ca_pem, platform::read_file(folder / "ca.crt"));
  connection.token_file = folder / "token";
  if (auto ns = platform::read_file(folder / "namespace")) connection.ns = *std::move(ns);
  return connection;
}

Connection Connection::local(const std::filesystem::path& socket) {
  Connection connection;
  connection.endpoint.local_socket = socket;
  return connection;
}

platform::HttpClientOptions Connection::http_options() const {
  platform::HttpClientOptions options;
  options.ca_pem = ca_pem;
  options.certificate_pem = certificate_pem;
  options.key_pem = key_pem;
  options.verify = verify;
  options.verify_name = verify_name;
  return options;
}

}  // namespace berth::client
