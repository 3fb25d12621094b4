#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "apiserver/access/identity.h"
#include "base/error.h"

namespace berth::apiserver {

/// The administrator's token: that of the kubeconfig, while it is still good, or a new one.
Result<std::string> ensure_admin_token(Identity& identity, const std::filesystem::path& kubeconfig);

/// Writes a kubeconfig, 0600, for the bearer of `token`.
Result<> write_kubeconfig(const std::filesystem::path& file, const std::string& server,
                          const std::filesystem::path& ca, const std::string& token);

/// The port that a file which `write_kubeconfig` wrote names; 0 where there is none.
uint16_t last_port(const std::filesystem::path& file);

}  // namespace berth::apiserver
