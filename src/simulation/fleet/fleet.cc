#include "simulation/fleet/fleet.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <unordered_map>

#include "core/scaling/policies/sample_history.h"
#include "core/scaling/serving/work_rates.h"
#include "core/serving/dispatcher.h"
#include "simulation/fleet/replica_pool.h"
#include "simulation/fleet/sampling.h"

namespace berth::simulation {
namespace {

constexpr double kNever = 1e300;
constexpr Duration kNoLimit = Duration::hours(10'000);  // longer than a simulation

/// A replica is ready, or a stretch of its engine ends.
struct Happening {
  double at_s;
  uint64_t order;  ///< ties go to what was planned first
  uint32_t slot;

  bool operator>(const Happening& other) const {
    return at_s != other.at_s ? at_s > other.at_s : order > other.order;
  }
};

/// Exact for whole nanoseconds, there and back.
Time time_of(double s) {
  return Time{std::llround(s * 1e9)};
}

/// Nobody is turned away but by their own deadline.
core::ModelDispatcher::Options patient() {
  return {.max_waiting = SIZE_MAX / 2, .queue_limit = kNoLimit, .start_limit = kNoLimit};
}

double p95(std::vector<double>& values) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<long>(values.size() * 95 / 100);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

class Fleet {
 public:
  Fleet(const FleetRun& run, const FleetScaler& scaler)
      : run_(run),
        service_(run.service),
        planned_(core::planned(service_.objective, service_.shapes)),
        scaler_(scaler),
        requests_(run.workload->requests),
        dispatcher_(patient()),
        pool_(*service_.profile, run.workload->length_s, run.warm_up_s),
        first_token_s_(requests_.size()) {
    const auto minutes = static_cast<size_t>(run.workload->length_s / 60) + 1;
    outcome_.misses_by_minute.resize(minutes);
    outcome_.arrivals_by_minute.resize(minutes);
    if (run.gateway == FleetGateway::kBerth) {
      pacer_ = {.rates = core::work_rates(*service_.profile, service_.shapes, planned_.tpot_s,
                                          service_.max_in_flight),
                .ttft = Duration::from_seconds(planned_.ttft_s)};
      dispatcher_.on_pacer(pacer_);
    }
    for (const core::RequestShape& shape : service_.shapes)
      expected_output_ += shape.output_tokens / static_cast<double>(service_.shapes.size());
  }

  FleetOutcome play() {
    for (int i = 0; i < run_.initial_replicas; ++i) ready(order(-1));
    const double end_s = run_.workload->length_s;
    double next_window_s = service_.window_s, next_tick_s = 0;
    uint32_t next = 0;
    while (true) {
      const double arrival_s = next < requests_.size() ? requests_[next].arrival_s : kNever;
      const double happening_s = happenings_.empty() ? kNever : happenings_.top().at_s;
      const double wake_s = wake_s_;
      const double now_s =
          std::min({arrival_s, happening_s, next_window_s, next_tick_s, wake_s, end_s});
      if (now_s >= end_s) break;
      if (happening_s == now_s) {
        const Happening happening = happenings_.top();
        happenings_.pop();
        on_happening(happening);
      } else if (next_window_s == now_s) {
        close_window(now_s);
        next_window_s += service_.window_s;
      } else if (next_tick_s == now_s) {
        on_tick(now_s);
        next_tick_s += service_.tick_s;
      } else if (wake_s == now_s) {
        dispatch(now_s);
      } else {
        on_arrival(next++, now_s);
      }
    }
    return sum_up(end_s);
  }

 private:
  bool judged(uint32_t id) const { return requests_[id].arrival_s >= run_.warm_up_s; }
  size_t minute_of(uint32_t id) const { return static_cast<size_t>(requests_[id].arrival_s / 60); }
  // Requests.

  void on_arrival(uint32_t id, double now_s) {
    const FleetRequest& request = requests_[id];
    sample_.arrivals += 1;
    sample_.prompt_tokens += request.prompt_tokens;
    sample_.prompt_tokens2 += static_cast<double>(request.prompt_tokens) * request.prompt_tokens;
    outcome_.arrivals_by_minute[minute_of(id)] += 1;
    concurrency_.change(now_s, 1);
    waiting_.change(now_s, 1);
    const auto output = std::llround(expected_output_);
    const core::ServingRequest asked{
        .id = id,
        .tenant = core::TenantId{0},
        .input_tokens = request.prompt_tokens,
        .expected_output_tokens = output,
        .deadline =
            pacer_ ? time_of(now_s) + pacer_->patience(request.prompt_tokens) : Time{INT64_MAX}};
    const auto verdict = dispatcher_.on_request(asked, time_of(now_s));
    using Kind = core::ModelDispatcher::Verdict::Kind;
    if (verdict.kind == Kind::kDispatched) submit(verdict.dispatch, now_s);
    if (verdict.kind == Kind::kRefused) turn_away(id, now_s);
    see_next();
  }

  void dispatch(double now_s) {
    if (pacer_)
      for (const auto& [request, refusal] : dispatcher_.expire(time_of(now_s)))
        turn_away(static_cast<uint32_t>(request.id), now_s);
    while (const auto dispatch = dispatcher_.next(time_of(now_s))) submit(*dispatch, now_s);
    see_next();
  }

  void see_next() {
    const Time at = dispatcher_.wake_at();
    wake_s_ = at.ns == INT64_MAX ? kNever : static_cast<double>(at.ns) / 1e9;
  }

  void turn_away(uint32_t id, double now_s) {
    waiting_.change(now_s, -1);
    concurrency_.change(now_s, -1);
    refuse(id);
  }

  void submit(const core::Dispatch& dispatch, double now_s) {
    const auto id = static_cast<uint32_t>(dispatch.request.id);
    const uint32_t slot = slots_[dispatch.replica.index()];
    Replica& replica = *pool_.at(slot);
    waiting_.change(now_s, -1);
    dispatched_.emplace(id, dispatch);
    ++replica.in_flight;
    replica.engine.submit(id, requests_[id].prompt_tokens, requests_[id].output_tokens);
    if (replica.busy)
      plan(slot, replica.begun_s + replica.engine.cut(now_s - replica.begun_s));
    else
      begin(slot, now_s);
  }

  void leave(uint32_t id, Replica& replica, double now_s) {
    --replica.in_flight;
    const auto dispatch = dispatched_.find(id);
    dispatcher_.on_end(dispatch->second, requests_[id].prompt_tokens, requests_[id].output_tokens,
                       0, time_of(now_s));
    dispatched_.erase(dispatch);
    concurrency_.change(now_s, -1);
  }

  void on_answered(uint32_t id, Replica& replica, double now_s) {
    leave(id, replica, now_s);
    const FleetRequest& request = requests_[id];
    const double ttft_s = first_token_s_[id] - request.arrival_s;
    const int gaps = request.output_tokens - 1;
    const double tpot_s = gaps > 0 ? (now_s - first_token_s_[id]) / gaps : 0;
    sample_.ended += 1;
    sample_.output_tokens += request.output_tokens;
    expected_output_ += 0.002 * (request.output_tokens - expected_output_);
    const bool in_time = ttft_s <= service_.objective.ttft_s;
    const bool inside = service_.objective.holds(ttft_s, tpot_s, now_s - request.arrival_s);
    if (!inside) miss(id);
    if (!judged(id)) return;
    ttfts_.push_back(ttft_s);
    if (gaps > 0) tpots_.push_back(tpot_s);
    outcome_.output_tokens += request.output_tokens;
    ++(inside ? outcome_.inside : in_time ? outcome_.slow : outcome_.late);
  }

  void refuse(uint32_t id) {
    miss(id);
    if (judged(id)) ++outcome_.refused;
  }

  void miss(uint32_t id) {
    sample_.missed += 1;
    ++outcome_.misses_by_minute[minute_of(id)];
  }

  // Engines.

  void plan(uint32_t slot, double at_s) {
    pool_.at(slot)->planned = ++order_;
    happenings_.push({at_s, order_, slot});
  }

  void begin(uint32_t slot, double now_s) {
    Replica& replica = *pool_.at(slot);
    replica.busy = true;
    replica.begun_s = now_s;
    plan(slot, now_s + replica.engine.begin());
  }

  void on_happening(const Happening& happening) {
    Replica* replica = pool_.at(happening.slot);
    if (replica == nullptr || happening.order != replica->planned) return;
    const double now_s = happening.at_s;
    if (replica->state == Replica::State::kStarting) {
      ready(happening.slot);
      return dispatch(now_s);
    }
    const auto& iteration = replica->engine.finish();
    for (const uint32_t id : iteration.first_token) first_token_s_[id] = now_s;
    for (const uint32_t id : iteration.finished) on_answered(id, *replica, now_s);
    for (const uint32_t id : iteration.refused) {
      leave(id, *replica, now_s);
      refuse(id);
    }
    replica->busy = false;
    if (!replica->engine.idle())
      begin(happening.slot, now_s);
    else if (replica->state == Replica::State::kDraining)
      give_back(happening.slot, now_s);
    if (dispatcher_.waiting() > 0) dispatch(now_s);
  }

  // Replicas.

  uint32_t order(double now_s) {
    const uint32_t slot = pool_.order(now_s);
    Replica& replica = *pool_.at(slot);
    replica.id = dispatcher_.on_replica(slot, service_.max_in_flight);
    slots_.resize(std::max<size_t>(slots_.size(), replica.id.index() + 1));
    slots_[replica.id.index()] = slot;
    return slot;
  }

  void ready(uint32_t slot) {
    pool_.at(slot)->state = Replica::State::kReady;
    dispatcher_.on_replica_ready(pool_.at(slot)->id, true);
  }

  void give_back(uint32_t slot, double now_s) {
    dispatcher_.on_replica_gone(pool_.at(slot)->id);
    pool_.release(slot, now_s);
  }

  // Scaling.

  void on_tick(double now_s) {
    core::ServiceView view;
    view.now_s = now_s;
    view.samples = history_.latest();
    view.ready = pool_.count(Replica::State::kReady);
    view.starting = pool_.count(Replica::State::kStarting);
    const int wanted = scaler_(view);
    int have = view.ready + view.starting;
    for (; have < wanted; ++have) grow(now_s);
    for (; have > wanted; --have) shrink(now_s);
  }

  void grow(double now_s) {
    if (Replica* back = pool_.to_take_back(); back != nullptr) {
      ready(slots_[back->id.index()]);
      return dispatch(now_s);
    }
    plan(order(now_s), now_s + service_.cold_start_s);
  }

  void shrink(double now_s) {
    const int64_t slot = pool_.to_give_up();
    if (slot < 0) return;
    Replica& replica = *pool_.at(static_cast<uint32_t>(slot));
    if (replica.state == Replica::State::kStarting || !replica.busy)
      return give_back(static_cast<uint32_t>(slot), now_s);
    replica.state = Replica::State::kDraining;
    dispatcher_.on_replica_ready(replica.id, false);
  }

  void close_window(double now_s) {
    sample_.concurrency = concurrency_.take(now_s, service_.window_s);
    sample_.waiting = waiting_.take(now_s, service_.window_s);
    int ready = 0;
    for (uint32_t slot = 0; slot < pool_.slots(); ++slot) {
      const Replica* replica = pool_.at(slot);
      if (replica == nullptr || replica->state == Replica::State::kStarting) continue;
      ++ready;
      sample_.kv_used += replica->engine.kv_used();
      sample_.waiting += static_cast<double>(replica->engine.waiting());
    }
    if (ready > 0) sample_.kv_used /= ready;
    history_.push(sample_);
    sample_ = {};
  }

  FleetOutcome sum_up(double end_s) {
    pool_.release_all(end_s);
    // What has not ended by the workload's end is neither inside nor outside, unless it is late
    // already: a fleet that falls behind is not excused.
    for (const auto& [request, refusal] : dispatcher_.expire(Time{INT64_MAX}))
      if (const auto id = static_cast<uint32_t>(request.id);
          judged(id) && end_s - requests_[id].arrival_s > service_.objective.ttft_s)
        ++outcome_.late;
    outcome_.requests = outcome_.inside + outcome_.refused + outcome_.late + outcome_.slow;
    outcome_.device_s = pool_.device_s();
    outcome_.cold_starts = pool_.orders();
    outcome_.replicas_by_minute = pool_.held_by_minute();
    outcome_.ttft_p95_s = p95(ttfts_);
    outcome_.tpot_p95_s = p95(tpots_);
    return outcome_;
  }

  const FleetRun& run_;
  const core::ScaledService& service_;
  const core::ServingObjective planned_;
  const FleetScaler& scaler_;
  const std::vector<FleetRequest>& requests_;
  std::optional<core::PromptPacer> pacer_;
  core::ModelDispatcher dispatcher_;
  ReplicaPool pool_;
  std::vector<double> first_token_s_;
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>> happenings_;
  uint64_t order_ = 0;
  std::unordered_map<uint32_t, core::Dispatch> dispatched_;
  std::vector<uint32_t> slots_;  ///< by ReplicaId
  double wake_s_ = kNever;       ///< when a replica may take the next prompt
  double expected_output_ = 0;
  core::ServiceSample sample_;
  core::SampleHistory history_;
  TimeAverage concurrency_, waiting_;
  std::vector<double> ttfts_, tpots_;
  FleetOutcome outcome_;
};

}  // namespace

FleetOutcome run_fleet(const FleetRun& run, const FleetScaler& scaler) {
  return Fleet(run, scaler).play();
}

FleetOutcome run_fleet(const FleetRun& run, const core::ScalingPolicyRow& policy) {
  core::ScaledService service = run.service;
  service.objective = core::planned(service.objective, service.shapes);
  const auto chosen = policy.make(service);
  return run_fleet(run,
                   [&](const core::ServiceView& view) { return chosen->decide(view).replicas; });
}

}  // namespace berth::simulation
