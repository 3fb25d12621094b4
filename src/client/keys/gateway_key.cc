#include "client/keys/gateway_key.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "objects/json_text.h"
#include "platform/tls/crypto.h"

namespace berth::client {
namespace {

constexpr std::string_view kPrefix = "sk-berth-";
constexpr size_t kIdDigits = 12;
constexpr size_t kSecretBytes = 32;
constexpr size_t kHashDigits = 64;

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string hex_digits(size_t count) {
  return platform::sha256_hex(platform::random_bytes(32)).substr(0, count);
}

}  // namespace

MintedKey mint_key(std::string tenant, std::string name, Time now) {
  const std::string secret = platform::base64_url(platform::random_bytes(kSecretBytes));
  MintedKey minted;
  minted.key = {.id = hex_digits(kIdDigits),
                .tenant = std::move(tenant),
                .name = std::move(name),
                .secret_hash = platform::sha256_hex(secret),
                .created = now,
                .expires = {}};
  minted.token = fmt::format("{}{}-{}", kPrefix, minted.key.id, secret);
  return minted;
}

std::optional<TokenParts> parse_token(std::string_view token) {
  if (!token.starts_with(kPrefix)) return std::nullopt;
  token.remove_prefix(kPrefix.size());
  if (token.size() < kIdDigits + 2 || token.size() > 128 || token[kIdDigits] != '-' ||
      !is_hex(token.substr(0, kIdDigits), kIdDigits))
    return std::nullopt;
  return TokenParts{token.substr(0, kIdDigits), token.substr(kIdDigits + 1)};
}

bool secret_matches(const GatewayKey& key, std::string_view secret) {
  return platform::equal_in_constant_time(platform::sha256_hex(secret), key.secret_hash);
}

Json key_to_json(const GatewayKey& key) {
  JsonObject json{{"id", key.id},
                  {"tenant", key.tenant},
                  {"name", key.name},
                  {"secretHash", key.secret_hash},
                  {"createdAt", format_time(key.created)}};
  if (key.weight_milli != 1000) json["weightMilli"] = key.weight_milli;
  if (key.priority != 0) json["priority"] = key.priority;
  if (key.expires) json["expiresAt"] = format_time(*key.expires);
  return json;
}

Result<GatewayKey> key_from_json(const Json& json, const std::string& where) {
  const auto bad = [&where](std::string what) {
    return fail(ErrorCode::kInvalid, std::move(what), where,
                "make keys with `berth key create`; do not edit them by hand");
  };
  const auto text = [&json](std::string_view field) {
    return std::string(objects::find_string(json, {field}));
  };
  GatewayKey key{.id = text("id"),
                 .tenant = text("tenant"),
                 .name = text("name"),
                 .secret_hash = text("secretHash"),
                 .created = {},
                 .expires = {}};
  if (!is_hex(key.id, kIdDigits)) return bad("`id` is not 12 hex digits");
  if (key.tenant.empty()) return bad("no `tenant`");
  if (!is_hex(key.secret_hash, kHashDigits)) return bad("`secretHash` is not a SHA-256");
  key.weight_milli = objects::find_int(json, {"weightMilli"}, 1000);
  if (key.weight_milli < 1 || key.weight_milli > 1'000'000)
    return bad("`weightMilli` is not between 1 and 1000000");
  const int64_t priority = objects::find_int(json, {"priority"});
  if (priority < -100 || priority > 100) return bad("`priority` is not between -100 and 100");
  key.priority = static_cast<int>(priority);
  if (const auto created = parse_time(text("createdAt"))) key.created = *created;
  if (const std::string expires = text("expiresAt"); !expires.empty()) {
    const auto time = parse_time(expires);
    if (!time) return bad("`expiresAt` is not a time");
    key.expires = *time;
  }
  return key;
}

Json key_to_secret(const GatewayKey& key) {
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"type", kKeySecretType},
          {"metadata",
           {{"name", "gateway-key-" + key.id},
            {"namespace", key.tenant},
            {"labels", {{"berth.dev/gateway-key", key.id}}}}},
          {"data", {{"key", platform::base64(objects::canonical_json(key_to_json(key)))}}}};
}

Result<GatewayKey> key_from_secret(const Json& secret) {
  const std::string ns(objects::find_string(secret, {"metadata", "namespace"}));
  const std::string where =
      fmt::format("secret {}/{}", ns, objects::find_string(secret, {"metadata", "name"}));
  BERTH_TRY(const std::string text,
            platform::from_base64(objects::find_string(secret, {"data", "key"})));
  BERTH_TRY(const objects::ParsedJson parsed, objects::parse_json(text));
  BERTH_TRY(GatewayKey key, key_from_json(parsed.value, where));
  // Who may write Secrets of a namespace may make keys of that namespace alone.
  key.tenant = ns;
  return key;
}

}  // namespace berth::client
