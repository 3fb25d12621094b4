#include "gateway/discovery.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "objects/json.h"

namespace berth::gateway {
namespace {

using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_string;

int max_in_flight_of(const Json& service) {
  const std::string_view text = find_string(service, {"metadata", "annotations", kMaxInFlight});
  int value = 64;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return std::clamp(value, 1, 100'000);
}

/// What cannot be read is not asked.
Objective objective_of(const Json& service) {
  Objective objective;
  for (const std::string_view part :
       split(find_string(service, {"metadata", "annotations", kObjective}), ',')) {
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const auto target = parse_duration(part.substr(equals + 1));
    if (!target) continue;
    if (part.substr(0, equals) == "ttft") objective.ttft = *target;
    if (part.substr(0, equals) == "tpot") objective.tpot = *target;
    if (part.substr(0, equals) == "latency") objective.latency = *target;
  }
  return objective;
}

}  // namespace

Discovery::Discovery(client::ApiClient& client, Callbacks callbacks)
    : client_(client), callbacks_(std::move(callbacks)) {
  thread_.start([this] { follow(); },
                [this] {
                  services_.reset();
                  slices_.reset();
                  keys_.reset();
                });
}

void Discovery::follow() {
  const auto make = [this](client::Resource resource, std::string labels,
                           std::function<void()> tell) {
    auto informer = std::make_unique<client::Informer>(
        client_, thread_.loop(),
        client::Informer::Options{.collection = {.resource = std::move(resource),
                                                 .ns = {},
                                                 .name = {},
                                                 .subresource = {}},
                                  .label_selector = std::move(labels),
                                  .field_selector = {}},
        client::Informer::Handlers{
            .added = [tell](const SharedJson&) { tell(); },
            .updated = [tell](const SharedJson&, const SharedJson&) { tell(); },
            .deleted = [tell](const SharedJson&) { tell(); },
            .synced = tell,
            .failed = callbacks_.failed});
    informer->start();
    return informer;
  };
  services_ = make({"", "v1", "services"}, std::string(kModelLabel), [this] { tell_models(); });
  slices_ = make({"discovery.k8s.io", "v1", "endpointslices"}, "kubernetes.io/service-name",
                 [this] { tell_models(); });
  keys_ = make({"", "v1", "secrets"}, "berth.dev/gateway-key", [this] { tell_keys(); });
}

void Discovery::tell_models() {
  if (!services_ || !slices_ || !services_->synced() || !slices_->synced()) return;
  Models models;
  for (const auto& [key, service] : services_->objects()) {
    const std::string_view label = find_string(*service, {"metadata", "labels", kModelLabel});
    DiscoveredModel& model =
        models[std::string(find_string(*service, {"metadata", "annotations", kModelName}, label))];
    model.objective = objective_of(*service);
    const std::string health_path(find_string(*service, {"metadata", "annotations", kHealthPath}));
    for (const auto& [slice_key, slice] : slices_->objects()) {
      if (slice_key.first != key.first ||
          find_string(*slice, {"metadata", "labels", "kubernetes.io/service-name"}) != key.second)
        continue;
      const JsonArray& ports = find_array(*slice, {"ports"});
      if (ports.empty()) continue;
      const int64_t port = find_int(ports[0], {"port"});
      for (const Json& endpoint : find_array(*slice, {"endpoints"})) {
        // A pod that ends still answers what it has, but gets nothing new. One that starts is asked
        // for its health from here, oftener than the node asks it. Where that is not known, the
        // node's word counts.
        if (find_bool(endpoint, {"conditions", "terminating"})) continue;
        if (health_path.empty() && !find_bool(endpoint, {"conditions", "ready"}, true)) continue;
        for (const Json& address : find_array(endpoint, {"addresses"})) {
          if (!address.is_string()) continue;
          const std::string_view host = address.get_string();
          const bool v6 = host.find(':') != std::string_view::npos;
          auto upstream = parse_upstream(v6 ? fmt::format("http://[{}]:{}", host, port)
                                            : fmt::format("http://{}:{}", host, port));
          if (!upstream) continue;
          upstream->max_in_flight = max_in_flight_of(*service);
          upstream->health_path = health_path;
          const std::string_view pod = find_string(endpoint, {"targetRef", "name"});
          if (find_string(endpoint, {"targetRef", "kind"}) == "Pod")
            upstream->pod = fmt::format("{}/{}", key.first, pod);
          // An address that another pod has got since is another server.
          model.servers.emplace(fmt::format("{} {}", upstream->url, pod), std::move(*upstream));
        }
      }
    }
  }
  callbacks_.models(models);
}

void Discovery::tell_keys() {
  if (!keys_ || !keys_->synced()) return;
  std::vector<client::GatewayKey> keys;
  for (const auto& [name, secret] : keys_->objects()) {
    auto key = client::key_from_secret(*secret);
    if (key) {
      keys.push_back(std::move(*key));
    } else {
      callbacks_.failed(key.error());
    }
  }
  callbacks_.keys(keys);
}

}  // namespace berth::gateway
