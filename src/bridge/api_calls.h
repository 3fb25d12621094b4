#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/api_client.h"
#include "client/gate.h"
#include "platform/event_loop.h"

namespace berth::bridge {

inline const client::Resource kPods{"", "v1", "pods"};
inline const client::Resource kNodes{"", "v1", "nodes"};
inline const client::Resource kNamespaces{"", "v1", "namespaces"};
inline const client::Resource kEvents{"", "v1", "events"};
inline const client::Resource kPriorityClasses{"scheduling.k8s.io", "v1", "priorityclasses"};
inline const client::Resource kDisruptionBudgets{"policy", "v1", "poddisruptionbudgets"};
inline const client::Resource kPodGroups{"scheduling.x-k8s.io", "v1alpha1", "podgroups"};
inline const client::Resource kQueues{"berth.dev", "v1alpha1", "queues"};

/// Brings answers of the client to one loop, until it is closed.
class ToLoop {
 public:
  explicit ToLoop(platform::EventLoop& loop)
      : loop_(loop), gate_(std::make_shared<client::Gate>()) {}
  ~ToLoop() { gate_->shut(); }
  ToLoop(const ToLoop&) = delete;
  ToLoop& operator=(const ToLoop&) = delete;

  client::ApiClient::OnObject operator()(std::function<void(Result<SharedJson>)> then) const {
    return [&loop = loop_, gate = gate_, then = std::move(then)](Result<SharedJson> answer) {
      gate->pass([&] {
        loop.post([gate, then, answer = std::move(answer)]() mutable {
          gate->pass([&] { then(std::move(answer)); });
        });
      });
    };
  }
  /// For what is only tried once.
  static void ignore(const Result<SharedJson>&) {}

 private:
  platform::EventLoop& loop_;
  std::shared_ptr<client::Gate> gate_;
};

}  // namespace berth::bridge
