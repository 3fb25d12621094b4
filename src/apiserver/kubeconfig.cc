#include "apiserver/kubeconfig.h"

#include <future>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "platform/storage/files.h"
#include "platform/tls/crypto.h"

namespace berth::apiserver {
namespace {

constexpr std::string_view kToken = "    token: ";

/// From a file that `write_kubeconfig` wrote.
std::string token_in(const std::filesystem::path& file) {
  const Result<std::string> text = platform::read_file(file);
  if (!text) return {};
  for (const std::string_view line : split(*text, '\n')) {
    if (line.starts_with(kToken)) return std::string(trim(line.substr(kToken.size())));
  }
  return {};
}

}  // namespace

Result<std::string> ensure_admin_token(Identity& identity,
                                       const std::filesystem::path& kubeconfig) {
  std::string token = token_in(kubeconfig);
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
      "    server: {}\n"
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
      server, platform::base64(certificate), kToken, token);
  return platform::write_file(file, text, 0600);
}

}  // namespace berth::apiserver
