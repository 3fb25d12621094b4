#include "core/serving/dispatcher.h"

#include <algorithm>

namespace berth::core {

std::string_view to_string(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kQueueFull:
      return "queue_full";
    case RefusalReason::kDeadline:
      return "deadline";
    case RefusalReason::kNoReplica:
      return "no_replica";
    case RefusalReason::kQueueLimit:
      return "queue_limit";
    case RefusalReason::kStartLimit:
      return "start_limit";
  }
  return {};
}

ReplicaId ModelDispatcher::on_replica(uint64_t identity, int max_in_flight) {
  size_t index = 0;
  // A place is free once its replica is gone and nothing of it runs any more.
  while (index < replicas_.size() && (replicas_[index].present || loads_[index].in_flight > 0))
    ++index;
  if (index == replicas_.size()) {
    replicas_.emplace_back();
    loads_.emplace_back();
  }
  replicas_[index].present = true;
  loads_[index] = {.identity = identity, .max_in_flight = std::max(1, max_in_flight)};
  return ReplicaId{static_cast<uint32_t>(index)};
}

void ModelDispatcher::on_replica_ready(ReplicaId replica, bool ready) {
  loads_[replica.index()].ready = ready && replicas_[replica.index()].present;
}

void ModelDispatcher::on_replica_gone(ReplicaId replica) {
  loads_[replica.index()].ready = false;
  replicas_[replica.index()].present = false;
}

int ModelDispatcher::ready_replicas() const {
  return static_cast<int>(std::ranges::count_if(loads_, &ReplicaLoad::ready));
}

bool ModelDispatcher::any_replica() const {
  return std::ranges::any_of(replicas_, &Replica::present);
}

ReplicaId ModelDispatcher::route(uint64_t prefix, Time now) const {
  const auto chosen = choose_replica(loads_, prefix, now);
  return chosen ? ReplicaId{static_cast<uint32_t>(*chosen)} : ReplicaId{};
}

void ModelDispatcher::begin(const QueuedRequest& request, ReplicaId replica, Time now) {
  ReplicaLoad& load = loads_[replica.index()];
  ++load.in_flight;
  load.outstanding_work += request.expected_work;
  load.last_chosen = ++choices_;
  if (pacer_)
    load.not_before = std::max(load.not_before, now) +
                      pacer_->spacing(request.input_tokens, request.expected_output_tokens,
                                      now - request.arrived);
  ++in_flight_;
}

void ModelDispatcher::leave(const Dispatch& dispatch) {
  ReplicaLoad& load = loads_[dispatch.replica.index()];
  --load.in_flight;
  load.outstanding_work -= dispatch.request.expected_work;
  --in_flight_;
}

bool ModelDispatcher::over_its_share(TenantId tenant) const {
  if (queue_.size() < options_.max_waiting) return false;
  // Of a full queue everybody who waits has an equal part, so that one who floods shuts nobody out;
  // newcomers may so fill it once more.
  return queue_.size() >= 2 * options_.max_waiting ||
         queue_.waiting(tenant) >= queue_.fair_places(tenant, options_.max_waiting);
}

Duration ModelDispatcher::wait_for(TenantId tenant, int priority) const {
  return expected_wait(queue_.work_ahead(tenant, priority), rate_.work_per_s());
}

ModelDispatcher::Verdict ModelDispatcher::on_request(const ServingRequest& request, Time now) {
  const int64_t work =
      options_.queue.tokens.work(request.input_tokens, request.expected_output_tokens);
  Verdict verdict{.kind = Verdict::Kind::kQueued,
                  .dispatch = {.request = {.id = request.id,
                                           .tenant = request.tenant,
                                           .priority = request.priority,
                                           .input_tokens = request.input_tokens,
                                           .expected_output_tokens = request.expected_output_tokens,
                                           .expected_work = std::max<int64_t>(1, work),
                                           .prefix = request.prefix,
                                           .arrived = now},
                               .replica = {}},
                  .refusal = {}};
  QueuedRequest& queued = verdict.dispatch.request;
  // Should it come back unanswered, it waits for no longer than for a start.
  queued.expires = std::min(now + options_.start_limit, request.deadline);
  if (queue_.empty()) {
    if (const ReplicaId replica = route(request.prefix, now); replica.valid()) {
      queue_.on_pass(request.tenant, request.input_tokens);
      begin(queued, replica, now);
      verdict.kind = Verdict::Kind::kDispatched;
      verdict.dispatch.replica = replica;
      verdict.dispatch.in_flight = in_flight(replica);
      return verdict;
    }
  }
  const auto refuse = [&](RefusalReason reason, Duration retry_after) {
    verdict.kind = Verdict::Kind::kRefused;
    verdict.refusal = {reason, retry_after};
    return verdict;
  };
  queued.start_due = ready_replicas() == 0;
  if (queued.start_due && !options_.can_start)
    return refuse(RefusalReason::kNoReplica, Duration::seconds(5));
  const Duration wait = wait_for(request.tenant, request.priority);
  if (over_its_share(request.tenant)) return refuse(RefusalReason::kQueueFull, wait);
  const Duration limit = queued.start_due ? options_.start_limit : options_.queue_limit;
  if (limit.ns <= 0)
    return refuse(queued.start_due ? RefusalReason::kStartLimit : RefusalReason::kQueueLimit, wait);
  queued.expires = std::min(now + limit, request.deadline);
  if (now + wait >= request.deadline) return refuse(RefusalReason::kDeadline, wait);
  queue_.on_arrival(queued);
  return verdict;
}

std::optional<Dispatch> ModelDispatcher::next(Time now) {
  if (queue_.empty() || !route(0, now).valid()) return std::nullopt;
  const QueuedRequest request = *queue_.take(now);
  const ReplicaId replica = route(request.prefix, now);
  begin(request, replica, now);
  return Dispatch{request, replica, in_flight(replica)};
}

Time ModelDispatcher::wake_at() const {
  Time first{INT64_MAX};
  if (queue_.empty()) return first;
  for (const ReplicaLoad& load : loads_)
    if (load.ready && load.in_flight < load.max_in_flight) first = std::min(first, load.not_before);
  return first;
}

std::vector<std::pair<QueuedRequest, Refusal>> ModelDispatcher::expire(Time now) {
  std::vector<std::pair<QueuedRequest, Refusal>> refused;
  if (queue_.empty()) return refused;
  const bool none_ready = ready_replicas() == 0;
  for (const QueuedRequest& request : queue_.expire(now)) {
    const RefusalReason reason =
        none_ready ? RefusalReason::kStartLimit : RefusalReason::kQueueLimit;
    refused.emplace_back(request,
                         Refusal{reason, none_ready ? Duration::seconds(5)
                                                    : wait_for(request.tenant, request.priority)});
  }
  return refused;
}

void ModelDispatcher::on_end(const Dispatch& dispatch, int64_t input_tokens, int64_t output_tokens,
                             int64_t output_charged, Time now) {
  leave(dispatch);
  queue_.on_tokens(dispatch.request.tenant, input_tokens - dispatch.request.input_tokens,
                   output_tokens - output_charged);
  rate_.on_work(options_.queue.tokens.work(input_tokens, output_tokens), !queue_.empty(), now);
}

void ModelDispatcher::on_retry(const Dispatch& dispatch) {
  leave(dispatch);
  queue_.on_return(dispatch.request);
}

}  // namespace berth::core
