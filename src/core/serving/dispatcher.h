#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "core/serving/admission.h"
#include "core/serving/fair_queue.h"
#include "core/serving/prompt_pacer.h"
#include "core/serving/routing.h"

namespace berth::core {

/// A request for one model, as it came in.
struct ServingRequest {
  uint64_t id = 0;
  TenantId tenant = {};
  int priority = 0;
  int64_t input_tokens = 0;
  int64_t expected_output_tokens = 0;
  uint64_t prefix = 0;
  Time deadline{INT64_MAX};  ///< an answer that begins later is worth nothing
};

/// A request that a replica is to answer, or answers.
struct Dispatch {
  QueuedRequest request;
  ReplicaId replica;
  int in_flight = 0;  ///< at its replica when it began, itself among them
};

enum class RefusalReason {
  kQueueFull,   ///< too many wait, and of this tenant more than its share
  kDeadline,    ///< it would not begin in time
  kNoReplica,   ///< nothing serves the model, and nothing will start by itself
  kQueueLimit,  ///< it waited for its turn for as long as it may
  kStartLimit,  ///< it waited for a server to start for as long as it may
};
std::string_view to_string(RefusalReason reason);

struct Refusal {
  RefusalReason reason = RefusalReason::kNoReplica;
  Duration retry_after;
};

/// One model's traffic: who goes next, where, and who is turned away. Events in, decisions out; the
/// caller carries them out and says how they went.
///
/// After any event but an arrival, and at `wake_at`, `next` is called until it gives nothing.
class ModelDispatcher {
 public:
  struct Options {
    FairQueue::Options queue = {};
    size_t max_waiting = 4096;
    Duration queue_limit = Duration::seconds(60);
    Duration start_limit = Duration::seconds(120);  ///< for a model without a ready replica
    bool can_start = true;  ///< a replica may come by itself: hold requests until then
  };

  struct Verdict {
    enum class Kind { kDispatched, kQueued, kRefused } kind = Kind::kQueued;
    Dispatch dispatch;  ///< of kDispatched; its `request` also of kQueued, for `on_cancel`
    Refusal refusal;    ///< of kRefused
  };

  explicit ModelDispatcher(Options options) : options_(options), queue_(options.queue) {}

  void on_tenant(TenantId tenant, int64_t weight_milli) { queue_.on_tenant(tenant, weight_milli); }

  /// Prompts are given out no faster than that; without, as soon as a replica has room.
  void on_pacer(std::optional<PromptPacer> pacer) { pacer_ = pacer; }

  /// A new replica, not ready yet. `identity` says where it is, for prefix affinity.
  ReplicaId on_replica(uint64_t identity, int max_in_flight);
  void on_replica_ready(ReplicaId replica, bool ready);
  /// What it answers still ends with `on_end` or `on_retry`.
  void on_replica_gone(ReplicaId replica);

  Verdict on_request(const ServingRequest& request, Time now);
  std::optional<Dispatch> next(Time now);
  /// When, without any event, somebody who waits may go next; the end of time where only an event
  /// can let them.
  Time wake_at() const;
  /// Those that waited for too long, with what to tell them.
  std::vector<std::pair<QueuedRequest, Refusal>> expire(Time now);
  /// The client left before its turn. False where its turn had come.
  bool on_cancel(const QueuedRequest& request) { return queue_.on_cancel(request); }

  /// Tokens of a running answer, as they come.
  void on_output(TenantId tenant, int64_t tokens) { queue_.on_tokens(tenant, 0, tokens); }
  /// The answer ended, however it did. What was charged before is corrected to what was used.
  void on_end(const Dispatch& dispatch, int64_t input_tokens, int64_t output_tokens,
              int64_t output_charged, Time now);
  /// Nothing was answered: it waits again, in its old place.
  void on_retry(const Dispatch& dispatch);

  size_t waiting() const { return queue_.size(); }
  int in_flight() const { return in_flight_; }
  int in_flight(ReplicaId replica) const { return loads_[replica.index()].in_flight; }
  int ready_replicas() const;
  bool any_replica() const;
  /// When a request of this tenant would begin, about.
  Duration wait_for(TenantId tenant, int priority) const;
  const FairQueue& queue() const { return queue_; }

 private:
  struct Replica {
    bool present = false;
  };

  ReplicaId route(uint64_t prefix, Time now) const;
  void begin(const QueuedRequest& request, ReplicaId replica, Time now);
  void leave(const Dispatch& dispatch);
  bool over_its_share(TenantId tenant) const;

  const Options options_;
  FairQueue queue_;
  std::optional<PromptPacer> pacer_;
  DrainRate rate_;
  std::vector<ReplicaLoad> loads_;
  std::vector<Replica> replicas_;
  uint64_t choices_ = 0;
  int in_flight_ = 0;
};

}  // namespace berth::core
