#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "client/keys/gateway_key.h"
#include "gateway/traffic/traffic.h"

namespace berth::gateway {

/// The keys that open the gateway now, and whose they are. Threads: any; they are replaced whole.
class KeyRing {
 public:
  struct Entry {
    client::GatewayKey key;
    const Traffic::Tenant* tenant = nullptr;
  };

  /// `traffic` outlives this.
  explicit KeyRing(Traffic& traffic) : traffic_(traffic), keys_(std::make_shared<const Keys>()) {}

  void replace(const std::vector<client::GatewayKey>& keys);

  /// The key of an Authorization header (`Bearer sk-berth-...`), or null.
  std::shared_ptr<const Entry> find(std::string_view authorization, Time now) const;

 private:
  using Keys = std::unordered_map<std::string, std::shared_ptr<const Entry>>;

  std::shared_ptr<const Keys> snapshot() const;

  Traffic& traffic_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Keys> keys_;
};

}  // namespace berth::gateway
