#pragma once

#include <mutex>

#include "apiserver/providers.h"
#include "controllers/runner.h"

namespace berth::app {

/// Hands what gateways tell the API server to the controllers. These end before the server does:
/// then it is refused.
class ServiceDemand final : public apiserver::DemandSink {
 public:
  /// Any thread. `runner` outlives this, or is taken back with null.
  void feed(controllers::Runner* runner);
  Result<> take(const Json& reports) override;

 private:
  std::mutex mutex_;
  controllers::Runner* runner_ = nullptr;  // guarded by mutex_
};

}  // namespace berth::app
