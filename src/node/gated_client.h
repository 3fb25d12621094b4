#pragma once

#include <memory>

#include "client/api_client.h"
#include "client/gate.h"

namespace berth::node {

/// Another client whose answers stop when it is shut, so that what they refer to may go. Requests
/// that were made are still carried out.
class GatedClient : public client::ApiClient {
 public:
  explicit GatedClient(client::ApiClient& inner)
      : inner_(inner), gate_(std::make_shared<client::Gate>()) {}

  /// No callback starts after this returns.
  void shut() { gate_->shut(); }

  void get(client::Target target, OnObject done) override {
    inner_.get(std::move(target), gated(std::move(done)));
  }
  void list(client::Target collection, client::ListOptions options, OnList done) override {
    inner_.list(std::move(collection), std::move(options), gated(std::move(done)));
  }
  void create(client::Target target, Json object, client::WriteOptions options,
              OnObject done) override {
    inner_.create(std::move(target), std::move(object), std::move(options), gated(std::move(done)));
  }
  void update(client::Target target, Json object, client::WriteOptions options,
              OnObject done) override {
    inner_.update(std::move(target), std::move(object), std::move(options), gated(std::move(done)));
  }
  void patch(client::Target target, client::PatchType type, Json patch,
             client::WriteOptions options, OnObject done) override {
    inner_.patch(std::move(target), type, std::move(patch), std::move(options),
                 gated(std::move(done)));
  }
  void remove(client::Target target, client::DeleteOptions options, OnObject done) override {
    inner_.remove(std::move(target), std::move(options), gated(std::move(done)));
  }
  std::unique_ptr<client::Watch> watch(client::Target collection, client::WatchOptions options,
                                       OnEvent on_event, OnEnd on_end) override {
    return inner_.watch(std::move(collection), std::move(options), gated(std::move(on_event)),
                        gated(std::move(on_end)));
  }

 private:
  template <class Argument>
  std::function<void(Argument)> gated(std::function<void(Argument)> done) {
    return [gate = gate_, done = std::move(done)](Argument argument) {
      gate->pass([&] { done(std::move(argument)); });
    };
  }

  client::ApiClient& inner_;
  std::shared_ptr<client::Gate> gate_;
};

}  // namespace berth::node
