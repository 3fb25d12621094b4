#include "gateway/traffic/traffic.h"

#include <utility>

namespace berth::gateway {

const Traffic::Tenant* Traffic::tenant(const std::string& name, int64_t weight_milli) {
  const std::lock_guard lock(mutex_);
  auto& tenant = tenants_[name];
  if (!tenant) {
    tenant = std::make_unique<Tenant>(
        Tenant{name, core::TenantId{static_cast<uint32_t>(weights_milli_.size())}});
    weights_milli_.push_back(0);
  }
  int64_t& weight = weights_milli_[tenant->id.index()];
  if (weight != weight_milli) {
    weight = weight_milli;
    for (const auto& [model_name, model] : models_) model->dispatcher.on_tenant(tenant->id, weight);
  }
  return tenant.get();
}

void Traffic::add_model(const std::string& name) {
  const std::lock_guard lock(mutex_);
  auto& model = models_[name];
  if (model) return;
  model = std::make_unique<Model>(options_);
  model->name = name;
  for (uint32_t i = 0; i < weights_milli_.size(); ++i)
    model->dispatcher.on_tenant(core::TenantId{i}, weights_milli_[i]);
}

void Traffic::set_objective(const std::string& name, const Objective& objective) {
  const std::lock_guard lock(mutex_);
  if (Model* model = find(name)) model->objective = objective;
}

Traffic::Model* Traffic::find(std::string_view name) const {
  const auto found = models_.find(name);
  return found == models_.end() ? nullptr : found->second.get();
}

core::ReplicaId Traffic::add_replica(const std::string& model_name,
                                     std::shared_ptr<const Upstream> upstream) {
  add_model(model_name);
  const std::lock_guard lock(mutex_);
  Model& model = *find(model_name);
  const core::ReplicaId replica =
      model.dispatcher.on_replica(upstream->identity(), upstream->max_in_flight);
  if (model.replicas.size() <= replica.index()) model.replicas.resize(replica.index() + 1);
  model.replicas[replica.index()] = std::move(upstream);
  return replica;
}

void Traffic::set_ready(const std::string& model_name, core::ReplicaId replica, bool ready,
                        Time now) {
  std::vector<Wake> wakes;
  {
    const std::lock_guard lock(mutex_);
    Model* model = find(model_name);
    if (model == nullptr || !model->replicas[replica.index()]) return;
    model->dispatcher.on_replica_ready(replica, ready);
    collect(*model, now, wakes);
  }
  send(std::move(wakes));
}

void Traffic::remove_replica(const std::string& model_name, core::ReplicaId replica) {
  const std::lock_guard lock(mutex_);
  Model* model = find(model_name);
  if (model == nullptr) return;
  model->dispatcher.on_replica_gone(replica);
  model->replicas[replica.index()] = nullptr;
}

core::TenantUse& Traffic::use(Model& model, const Tenant& tenant) {
  core::TenantUse*& row = model.uses[tenant.id.value];
  if (row == nullptr) row = &ledger_.row(tenant.name, model.name);
  return *row;
}

Traffic::Accepted Traffic::accept(const std::string& model_name, const Tenant& tenant,
                                  core::ServingRequest request, Time now) {
  std::unique_lock lock(mutex_);
  Accepted accepted;
  accepted.model = find(model_name);
  if (accepted.model == nullptr) return accepted;
  Model& model = *accepted.model;
  request.tenant = tenant.id;
  accepted.verdict = model.dispatcher.on_request(request, now);
  core::TokenLedger::on_accepted(use(model, tenant));
  model.demand.on_arrival(request.input_tokens);
  measure(model, now);
  if (accepted.verdict.kind == core::ModelDispatcher::Verdict::Kind::kDispatched)
    accepted.upstream = model.replicas[accepted.verdict.dispatch.replica.index()];
  if (accepted.verdict.kind == core::ModelDispatcher::Verdict::Kind::kRefused)
    ++model.refusals[accepted.verdict.refusal.reason];
  const bool held = accepted.verdict.dispatch.request.start_due;
  lock.unlock();
  if (held) on_held_();
  return accepted;
}

void Traffic::on_output(Model& model, const Tenant& tenant, int64_t tokens) {
  const std::lock_guard lock(mutex_);
  model.dispatcher.on_output(tenant.id, tokens);
}

void Traffic::record(Model& model, const Tenant& tenant, const End& end) {
  core::TokenLedger::on_end(use(model, tenant), end.outcome, end.use);
  ++model.statuses[end.status];
  using core::Outcome;
  const bool answered = end.outcome == Outcome::kAnswered;
  if (answered || end.outcome == Outcome::kRefused || end.outcome == Outcome::kFailed) {
    const AnswerTimes times{.first_token = end.streamed ? end.first_token : std::nullopt,
                            .per_token = end.per_token,
                            .total = end.total,
                            .output_tokens = end.use.output_tokens};
    const bool inside = answered && times.within(model.objective);
    ++(inside ? model.inside : model.outside);
    if (!inside) model.demand.on_missed();
  }
  if (end.queued) model.queue_s.observe(end.queued->to_seconds());
  if (end.first_token) model.ttft_s.observe(end.first_token->to_seconds());
  if (end.per_token) model.tpot_s.observe(end.per_token->to_seconds());
  model.duration_s.observe(end.total.to_seconds());
}

void Traffic::end(Model& model, const Tenant& tenant, const core::Dispatch& dispatch,
                  int64_t output_charged, const End& end, Time now) {
  std::vector<Wake> wakes;
  {
    const std::lock_guard lock(mutex_);
    std::optional<documents::ServedRequest> served;
    if (end.served) {
      const auto& upstream = model.replicas[dispatch.replica.index()];
      served = {*end.served, upstream ? upstream->pod : ""};
      served->request.in_flight =
          (dispatch.in_flight + model.dispatcher.in_flight(dispatch.replica)) / 2.0;
    }
    model.dispatcher.on_end(dispatch, end.use.input_tokens, end.use.output_tokens, output_charged,
                            now);
    record(model, tenant, end);
    if (end.outcome == core::Outcome::kAnswered)
      model.demand.on_answer(dispatch.request.input_tokens, end.use.input_tokens,
                             end.use.output_tokens, std::move(served));
    collect(model, now, wakes);
  }
  send(std::move(wakes));
}

bool Traffic::cancel(Model& model, const Tenant& tenant, const core::QueuedRequest& request,
                     const End& end, Time now) {
  const std::lock_guard lock(mutex_);
  if (!model.dispatcher.on_cancel(request)) return false;
  record(model, tenant, end);
  measure(model, now);
  return true;
}

void Traffic::end_refused(Model& model, const Tenant& tenant, const End& end, Time now) {
  const std::lock_guard lock(mutex_);
  measure(model, now);
  record(model, tenant, end);
}

void Traffic::retry(Model& model, const core::Dispatch& dispatch, Time now) {
  std::vector<Wake> wakes;
  {
    const std::lock_guard lock(mutex_);
    ++model.retries;
    model.dispatcher.on_retry(dispatch);
    collect(model, now, wakes);
  }
  send(std::move(wakes));
}

void Traffic::tick(Time now) {
  std::vector<Wake> wakes;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, model] : models_)
      for (const auto& [request, refusal] : model->dispatcher.expire(now)) {
        ++model->refusals[refusal.reason];
        wakes.push_back({.id = request.id, .dispatch = {}, .upstream = {}, .refusal = refusal});
        measure(*model, now);
      }
  }
  send(std::move(wakes));
}

void Traffic::collect(Model& model, Time now, std::vector<Wake>& wakes) {
  while (const auto dispatch = model.dispatcher.next(now))
    wakes.push_back({.id = dispatch->request.id,
                     .dispatch = dispatch,
                     .upstream = model.replicas[dispatch->replica.index()],
                     .refusal = {}});
  measure(model, now);
}

void Traffic::measure(Model& model, Time now) {
  model.demand.on_level(now, model.dispatcher.in_flight(), model.dispatcher.waiting());
}

std::vector<documents::ModelDemand> Traffic::take_demand(Time now) {
  const std::lock_guard lock(mutex_);
  std::vector<documents::ModelDemand> all;
  for (const auto& [name, model] : models_) {
    documents::ModelDemand& demand = all.emplace_back(model->demand.take(now));
    demand.model = name;
    demand.held = model->dispatcher.waiting() > 0 && model->dispatcher.ready_replicas() == 0;
  }
  return all;
}

void Traffic::send(std::vector<Wake> wakes) const {
  for (Wake& wake : wakes) on_wake_(std::move(wake));
}

std::vector<Traffic::ModelView> Traffic::models() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelView> views;
  for (const auto& [name, model] : models_) {
    ModelView view{.name = name,
                   .ready = model->dispatcher.ready_replicas(),
                   .in_flight = model->dispatcher.in_flight(),
                   .waiting = model->dispatcher.waiting()};
    for (const auto& replica : model->replicas) view.replicas += replica ? 1 : 0;
    views.push_back(std::move(view));
  }
  return views;
}

bool Traffic::waits_for_start(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const Model* model = find(name);
  return model != nullptr && model->dispatcher.waiting() > 0 &&
         model->dispatcher.ready_replicas() == 0;
}

void Traffic::inspect(
    const std::function<void(const std::map<std::string, std::unique_ptr<Model>, std::less<>>&,
                             const core::TokenLedger&)>& read) const {
  const std::lock_guard lock(mutex_);
  read(models_, ledger_);
}

}  // namespace berth::gateway
