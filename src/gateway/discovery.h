#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "client/api_client.h"
#include "client/informer.h"
#include "client/keys/gateway_key.h"
#include "gateway/traffic/upstream.h"
#include "platform/event_loop.h"

namespace berth::gateway {

/// A Service with this label serves a model; its ready endpoints are the model's servers. The
/// model's name is the annotation `berth.dev/model-name`, else the label; `berth.dev/max-in-flight`
/// says how many requests each server takes. The Services of ModelServices have all three.
inline constexpr std::string_view kModelLabel = "berth.dev/model-service";
inline constexpr std::string_view kModelName = "berth.dev/model-name";
inline constexpr std::string_view kMaxInFlight = "berth.dev/max-in-flight";

/// Models, servers and keys as the API server knows them, told anew whenever they change. On a
/// thread of its own.
class Discovery {
 public:
  using Models = std::map<std::string, std::map<std::string, Upstream>>;  ///< by model, by address
  struct Callbacks {
    std::function<void(const Models& models)> models;
    std::function<void(const std::vector<client::GatewayKey>& keys)> keys;
    std::function<void(const Error& error)> failed;
  };

  /// `client` outlives this.
  Discovery(client::ApiClient& client, Callbacks callbacks);
  ~Discovery();

 private:
  void follow();
  void tell_models();
  void tell_keys();

  client::ApiClient& client_;
  const Callbacks callbacks_;
  platform::EventLoop loop_;
  // On the loop's thread.
  std::unique_ptr<client::Informer> services_, slices_, keys_;
  std::thread thread_;
};

}  // namespace berth::gateway
