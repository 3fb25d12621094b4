#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/api_client.h"
#include "client/informer.h"
#include "client/keys/gateway_key.h"
#include "gateway/traffic/demand_meter.h"
#include "gateway/traffic/upstream.h"
#include "platform/loop_thread.h"

namespace berth::gateway {

/// A Service with this label serves a model; its endpoints are the model's servers, but for those
/// that end. The model's name is the annotation `berth.dev/model-name`, else the label;
/// `berth.dev/max-in-flight` says how many requests each server takes, `berth.dev/health-path`
/// where it says that it is well, and `berth.dev/objective` what is asked of answers:
/// `ttft=2s,tpot=60ms,latency=20s`. The Services of ModelServices have all of them.
inline constexpr std::string_view kModelLabel = "berth.dev/model-service";
inline constexpr std::string_view kModelName = "berth.dev/model-name";
inline constexpr std::string_view kMaxInFlight = "berth.dev/max-in-flight";
inline constexpr std::string_view kHealthPath = "berth.dev/health-path";
inline constexpr std::string_view kObjective = "berth.dev/objective";

/// Models, servers and keys as the API server knows them, told anew whenever they change. On a
/// thread of its own.
class Discovery {
 public:
  struct DiscoveredModel {
    Objective objective;
    std::map<std::string, Upstream> servers;  ///< by address and pod
  };
  using Models = std::map<std::string, DiscoveredModel>;
  struct Callbacks {
    std::function<void(const Models& models)> models;
    std::function<void(const std::vector<client::GatewayKey>& keys)> keys;
    std::function<void(const Error& error)> failed;
  };

  /// `client` outlives this.
  Discovery(client::ApiClient& client, Callbacks callbacks);

 private:
  void follow();
  void tell_models();
  void tell_keys();

  client::ApiClient& client_;
  const Callbacks callbacks_;
  // On the thread.
  std::unique_ptr<client::Informer> services_, slices_, keys_;
  platform::LoopThread thread_;  ///< last: it ends first
};

}  // namespace berth::gateway
