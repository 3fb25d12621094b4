#include "gateway/keys/key_ring.h"

#include <boost/beast/core/string.hpp>

namespace berth::gateway {

void KeyRing::replace(const std::vector<client::GatewayKey>& keys) {
  auto fresh = std::make_shared<Keys>();
  for (const client::GatewayKey& key : keys)
    fresh->emplace(
        key.id, std::make_shared<const Entry>(key, traffic_.tenant(key.tenant, key.weight_milli)));
  const std::lock_guard lock(mutex_);
  keys_ = std::move(fresh);
}

std::shared_ptr<const KeyRing::Keys> KeyRing::snapshot() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

std::shared_ptr<const KeyRing::Entry> KeyRing::find(std::string_view authorization,
                                                    Time now) const {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() < kScheme.size() ||
      !boost::beast::iequals(authorization.substr(0, kScheme.size()), kScheme))
    return nullptr;
  const auto parts = client::parse_token(authorization.substr(kScheme.size()));
  if (!parts) return nullptr;
  const auto keys = snapshot();
  const auto found = keys->find(std::string(parts->id));
  if (found == keys->end() || !client::secret_matches(found->second->key, parts->secret))
    return nullptr;
  if (found->second->key.expires && *found->second->key.expires <= now) return nullptr;
  return found->second;
}

}  // namespace berth::gateway
