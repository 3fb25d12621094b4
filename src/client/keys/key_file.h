#pragma once

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "client/keys/gateway_key.h"

namespace berth::client {

/// Keys without an API server: one JSON document, `{"keys": [...]}`, readable by its owner alone.
/// It is replaced whole, so that a reader sees the old one or the new one.
Result<std::vector<GatewayKey>> read_key_file(const std::filesystem::path& file);
Result<> write_key_file(const std::filesystem::path& file, const std::vector<GatewayKey>& keys);

}  // namespace berth::client
