#include "apiserver/kubeconfig.h"

#include <charconv>
#include <future>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "platform/storage/files.h"
#include "platform/tls/crypto.h"

namespace berth::apiserver {
namespace {

constexpr std::string_view kToken = "    token: ";

constexpr std::string_view kServer = "    server: ";

/// From a file that `write_kubeconfig` wrote: what follows `key` in its line.
std::string value_in(const std::filesystem::path& file, std::string_view key) {
  const Result<std::string> text = platform::read_file(file);
  if (!text) return {};
  for (const std::string_view line : split(*text, '\n')) {
    if (line.starts_with(key)) return std::string(trim(line.substr(key.size())));
  }
  return {};
}

}  // namespace

Result<std::string> ensure_admin_token(Identity& identity,
                                       const std::filesystem::path& kubeconfig) {
  std::string token = value_in(kubeconfig, kToken);
  if (!token.empty() && identity.has_token("admin", token)) return token;
  auto promise = std::make_shared<std::promise<Result<std::string>>>();
  identity.put({"admin", {"system:masters"}, {}, {}},
               [promise](Result<std::string> made) { promise->set_value(std::move(made)); });
  return promise->get_future().get();
}

Result<> write_kubeconfig(const std::filesystem::path& file, const std::string& server,
                          const std::filesystem::path& ca, const std::string& token) {
  BERTH_TRY(const std::string certificate, platform::read_file(ca));
  const std::string text = fmt::format(
      "apiVersion: v1\n"
      "kind: Config\n"
      "current-context: berth\n"
      "clusters:\n"
      "- name: berth\n"
      "  cluster:\n"
      "{}{}\n"
      "    certificate-authority-data: {}\n"
      "contexts:\n"
      "- name: berth\n"
      "  context:\n"
      "    cluster: berth\n"
      "    user: admin\n"
      "users:\n"
      "- name: admin\n"
      "  user:\n"
      "{}{}\n",
      kServer, server, platform::base64(certificate), kToken, token);
  // As it is: a full disk has no room for it, and needs none.
  if (platform::read_file(file) == text) return {};
  return platform::write_file(file, text, 0600);
}

uint16_t last_port(const std::filesystem::path& file) {
  const std::string server = value_in(file, kServer);
  const char* digits = server.data() + server.rfind(':') + 1;
  uint16_t port = 0;
  std::from_chars(digits, server.data() + server.size(), port);
  return port;
}

}  // namespace berth::apiserver
