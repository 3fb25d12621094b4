#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "objects/json.h"

namespace berth::client {

/// A key of the gateway as it is kept. The secret itself is kept nowhere: it has 256 random bits,
/// so a plain hash of it can be neither reversed nor guessed.
struct GatewayKey {
  std::string id;           ///< 12 hex digits; no secret
  std::string tenant;       ///< a namespace
  std::string name;         ///< for people
  std::string secret_hash;  ///< SHA-256, hex
  int64_t weight_milli = 1000;
  int priority = 0;
  Time created;
  std::optional<Time> expires;

  bool operator==(const GatewayKey&) const = default;
};

/// A key and, this once, the token that its owner sends: `sk-berth-ID-SECRET`.
struct MintedKey {
  GatewayKey key;
  std::string token;
};
MintedKey mint_key(std::string tenant, std::string name, Time now);

/// The parts of a token; nothing where it does not look like one.
struct TokenParts {
  std::string_view id;
  std::string_view secret;
};
std::optional<TokenParts> parse_token(std::string_view token);
/// In constant time.
bool secret_matches(const GatewayKey& key, std::string_view secret);

/// A key as an entry of a key file, and back. `where` names it in errors.
Json key_to_json(const GatewayKey& key);
Result<GatewayKey> key_from_json(const Json& json, const std::string& where);

/// A key as a Secret of its tenant's namespace, and back.
inline constexpr std::string_view kKeySecretType = "berth.dev/gateway-key";
Json key_to_secret(const GatewayKey& key);
Result<GatewayKey> key_from_secret(const Json& secret);

}  // namespace berth::client
