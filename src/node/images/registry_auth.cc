#include "node/images/registry_auth.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "objects/json.h"
#include "platform/tls/crypto.h"

namespace berth::node {
namespace {

using objects::find_object;
using objects::find_string;

Json entry_of(const Json& given) {
  JsonObject entry;
  for (const char* key : {"auth", "identitytoken"})
    if (const std::string_view text = find_string(given, {key}); !text.empty()) entry[key] = text;
  const std::string_view user = find_string(given, {"username"});
  if (entry.empty() && !user.empty())
    entry["auth"] = platform::base64(fmt::format("{}:{}", user, find_string(given, {"password"})));
  return entry;
}

}  // namespace

std::string merge_auths(const std::vector<std::string>& configurations) {
  JsonObject auths;
  for (const std::string& text : configurations) {
    boost::system::error_code error;
    const Json root = boost::json::parse(text, error);
    if (error || !root.is_object()) continue;
    // The older form has the entries at the top.
    const bool nested = root.get_object().contains("auths");
    for (const auto& [registry, given] :
         nested ? find_object(root, {"auths"}) : root.get_object()) {
      Json entry = entry_of(given);
      if (!entry.get_object().empty()) auths.emplace(registry, std::move(entry));
    }
  }
  if (auths.empty()) return {};
  return boost::json::serialize(JsonObject{{"auths", std::move(auths)}});
}

}  // namespace berth::node
