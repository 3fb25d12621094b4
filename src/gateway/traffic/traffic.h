#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/serving/dispatcher.h"
#include "core/serving/token_ledger.h"
#include "gateway/traffic/demand_meter.h"
#include "gateway/traffic/histogram.h"
#include "gateway/traffic/upstream.h"

namespace berth::gateway {

/// All that the workers share, behind one lock: who may go next and where, and what was used.
///
/// A request's life: `accept`, then while it waits a `Wake` or `cancel`; while it runs `on_output`,
/// and once `end` or `retry` (after which it waits again). An id's upper 16 bits say which worker
/// is to be woken.
class Traffic {
 public:
  struct Tenant {
    std::string name;
    core::TenantId id;
  };

  struct Model {
    explicit Model(core::ModelDispatcher::Options options) : dispatcher(options) {}

    std::string name;
    core::ModelDispatcher dispatcher;
    std::vector<std::shared_ptr<const Upstream>> replicas;  ///< by ReplicaId; null: free
    std::unordered_map<uint32_t, core::TenantUse*> uses;    ///< by tenant
    std::map<int, int64_t> statuses;                        ///< answers by HTTP status
    std::map<core::RefusalReason, int64_t> refusals;
    int64_t retries = 0;
    Objective objective;
    int64_t inside = 0, outside = 0;  ///< of the objective; refused and failed ones are outside
    DemandMeter demand;
    Histogram queue_s, ttft_s, tpot_s, duration_s;
  };

  /// What became of a request that waited.
  struct Wake {
    uint64_t id = 0;
    std::optional<core::Dispatch> dispatch;
    std::shared_ptr<const Upstream> upstream;  ///< with `dispatch`
    core::Refusal refusal;                     ///< without
  };
  /// Called without the lock held, from any thread; posts to the worker.
  using OnWake = std::function<void(Wake)>;
  /// A request came to a model of which no server is ready. Without the lock held, any thread.
  using OnHeld = std::function<void()>;

  struct Accepted {
    Model* model = nullptr;  ///< null: there is no such model
    core::ModelDispatcher::Verdict verdict;
    std::shared_ptr<const Upstream> upstream;
  };

  /// How a request ended, for the ledger and the metrics.
  struct End {
    core::Outcome outcome = core::Outcome::kAnswered;
    int status = 200;
    core::TokenUse use;
    std::optional<Duration> queued, first_token, per_token;
    Duration total;
    bool streamed = false;
    std::optional<core::ServedRequest> served = {};  ///< where it can be learned from
  };

  Traffic(core::ModelDispatcher::Options options, OnWake on_wake, OnHeld on_held)
      : options_(options), on_wake_(std::move(on_wake)), on_held_(std::move(on_held)) {}

  // Configuration.
  /// Stays where it is for as long as this; the weight is the newest one said.
  const Tenant* tenant(const std::string& name, int64_t weight_milli);
  void add_model(const std::string& name);
  void set_objective(const std::string& model, const Objective& objective);
  core::ReplicaId add_replica(const std::string& model, std::shared_ptr<const Upstream> upstream);
  void set_ready(const std::string& model, core::ReplicaId replica, bool ready, Time now);
  void remove_replica(const std::string& model, core::ReplicaId replica);

  // Requests.
  Accepted accept(const std::string& model, const Tenant& tenant, core::ServingRequest request,
                  Time now);
  void on_output(Model& model, const Tenant& tenant, int64_t tokens);
  void end(Model& model, const Tenant& tenant, const core::Dispatch& dispatch,
           int64_t output_charged, const End& end, Time now);
  /// The request that waited was cancelled. False: its turn had come, a wake is under way.
  bool cancel(Model& model, const Tenant& tenant, const core::QueuedRequest& request,
              const End& end, Time now);
  /// A request that was woken with a refusal.
  void end_refused(Model& model, const Tenant& tenant, const End& end, Time now);
  void retry(Model& model, const core::Dispatch& dispatch, Time now);
  /// Turns away what waited for too long.
  void tick(Time now);

  // Views.
  struct ModelView {
    std::string name;
    int replicas = 0, ready = 0, in_flight = 0;
    size_t waiting = 0;
  };
  std::vector<ModelView> models() const;
  bool waits_for_start(const std::string& model) const;
  /// What came and went of every model since the last call.
  std::vector<documents::ModelDemand> take_demand(Time now);
  /// Runs `read` with the lock held.
  void inspect(
      const std::function<void(const std::map<std::string, std::unique_ptr<Model>, std::less<>>&,
                               const core::TokenLedger&)>& read) const;

 private:
  Model* find(std::string_view name) const;
  core::TenantUse& use(Model& model, const Tenant& tenant);
  void record(Model& model, const Tenant& tenant, const End& end);
  /// Whoever may go now. With the lock held; the wakes are sent after it.
  void collect(Model& model, Time now, std::vector<Wake>& wakes);
  static void measure(Model& model, Time now);
  void send(std::vector<Wake> wakes) const;

  const core::ModelDispatcher::Options options_;
  const OnWake on_wake_;
  const OnHeld on_held_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Model>, std::less<>> models_;
  std::map<std::string, std::unique_ptr<Tenant>, std::less<>> tenants_;
  std::vector<int64_t> weights_milli_;  ///< by tenant
  core::TokenLedger ledger_;
};

}  // namespace berth::gateway
