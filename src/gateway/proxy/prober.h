#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "gateway/proxy/worker.h"

namespace berth::gateway {

/// Asks servers whether they are well. One is ready once its health path answers with less than
/// 500, and not ready after a request failed there, or three checks. Those that requests wait for
/// are asked every 25 ms, other missing ones twice a second, ready ones every 2 s.
///
/// On its worker's thread; `watch`, `forget` and `suspect` may be called from any.
class Prober {
 public:
  /// `on_down` is told of a replica that failed three checks; what it has not answered moves.
  using OnDown = std::function<void(const std::string& model, core::ReplicaId replica)>;

  /// All outlive this; `stop` before the worker goes.
  Prober(Worker& worker, Traffic& traffic, std::string health_path, OnDown on_down);
  ~Prober();

  void watch(std::string model, core::ReplicaId replica, std::shared_ptr<const Upstream> upstream);
  void forget(std::string model, core::ReplicaId replica);
  void suspect(const std::string& model, core::ReplicaId replica);

 private:
  class Probe;

  void schedule();
  void tick();

  Worker& worker_;
  Traffic& traffic_;
  const std::string health_path_;
  const OnDown on_down_;
  boost::asio::steady_timer timer_;
  std::vector<std::shared_ptr<Probe>> probes_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace berth::gateway
