#include "core/serving/fair_queue.h"

#include <algorithm>
#include <utility>

namespace berth::core {

double FairQueue::gap_bound(const TokenWeights& tokens, int64_t max_input_tokens,
                            int64_t max_output_tokens_in_flight, double min_weight) {
  const int64_t most =
      std::max(tokens.input * max_input_tokens, tokens.output * max_output_tokens_in_flight);
  return 2 * static_cast<double>(most) / min_weight;
}

FairQueue::Tenant& FairQueue::at(TenantId tenant) {
  if (tenants_.size() <= tenant.index()) tenants_.resize(tenant.index() + 1);
  return tenants_[tenant.index()];
}

const FairQueue::Tenant* FairQueue::find(TenantId tenant) const {
  return tenant.index() < tenants_.size() ? &tenants_[tenant.index()] : nullptr;
}

void FairQueue::on_tenant(TenantId tenant, int64_t weight_milli) {
  at(tenant).weight_milli = std::max<int64_t>(1, weight_milli);
}

void FairQueue::charge(Tenant& tenant, int64_t work) {
  tenant.counter += work * 1'000'000 / tenant.weight_milli;
}

void FairQueue::lift(Tenant& tenant) {
  int64_t least = last_left_;
  if (!active_.empty()) {
    least = INT64_MAX;
    for (const TenantId other : active_) least = std::min(least, tenants_[other.index()].counter);
  }
  tenant.counter = std::max(tenant.counter, least);
}

void FairQueue::on_arrival(const QueuedRequest& request) {
  Tenant& tenant = at(request.tenant);
  if (tenant.waiting == 0) {
    lift(tenant);
    active_.push_back(request.tenant);
  }
  Line& line = tenant.lines[request.priority];
  line.requests.emplace(std::pair(request.arrived, request.id), request);
  line.work += request.expected_work;
  tenant.work += request.expected_work;
  ++tenant.waiting;
  ++size_;
}

void FairQueue::on_pass(TenantId id, int64_t input_tokens) {
  Tenant& tenant = at(id);
  lift(tenant);
  last_left_ = tenant.counter;
  charge(tenant, options_.tokens.work(input_tokens, 0));
}

void FairQueue::on_return(const QueuedRequest& request) {
  charge(at(request.tenant), -options_.tokens.work(request.input_tokens, 0));
  on_arrival(request);
}

QueuedRequest FairQueue::remove(QueuedRequest which) {
  Tenant& tenant = at(which.tenant);
  const auto line = tenant.lines.find(which.priority);
  const auto position = line->second.requests.find({which.arrived, which.id});
  const QueuedRequest request = position->second;
  line->second.requests.erase(position);
  line->second.work -= request.expected_work;
  if (line->second.requests.empty()) tenant.lines.erase(line);
  tenant.work -= request.expected_work;
  --size_;
  if (--tenant.waiting == 0) {
    std::erase(active_, which.tenant);
    last_left_ = tenant.counter;
  }
  return request;
}

std::optional<QueuedRequest> FairQueue::take(Time now) {
  if (active_.empty()) return std::nullopt;
  const auto key = [this](TenantId id) { return std::pair(tenants_[id.index()].counter, id); };
  const TenantId next = *std::ranges::min_element(active_, {}, key);
  Tenant& tenant = tenants_[next.index()];
  // The oldest of the highest priority, unless some request of another has waited for too long.
  const QueuedRequest* first = nullptr;
  const Time overdue = now - options_.starvation_limit;
  for (const auto& [priority, line] : tenant.lines) {
    const QueuedRequest& oldest = line.requests.begin()->second;
    if (first == nullptr || (oldest.arrived <= overdue && oldest.arrived < first->arrived))
      first = &oldest;
  }
  const QueuedRequest request = remove(*first);
  charge(tenant, options_.tokens.work(request.input_tokens, 0));
  return request;
}

bool FairQueue::on_cancel(const QueuedRequest& request) {
  const Tenant& tenant = at(request.tenant);
  const auto line = tenant.lines.find(request.priority);
  if (line == tenant.lines.end()) return false;
  if (!line->second.requests.contains({request.arrived, request.id})) return false;
  remove(request);
  return true;
}

void FairQueue::on_tokens(TenantId tenant, int64_t input_tokens, int64_t output_tokens) {
  charge(at(tenant), options_.tokens.work(input_tokens, output_tokens));
}

std::vector<QueuedRequest> FairQueue::expire(Time now) {
  std::vector<QueuedRequest> expired;
  for (const TenantId id : active_)
    for (const auto& [priority, line] : tenants_[id.index()].lines)
      for (const auto& [key, request] : line.requests)
        if (request.expires <= now) expired.push_back(request);
  for (const QueuedRequest& request : expired) on_cancel(request);
  return expired;
}

size_t FairQueue::waiting(TenantId tenant) const {
  const Tenant* found = find(tenant);
  return found != nullptr ? found->waiting : 0;
}

size_t FairQueue::fair_places(TenantId tenant, size_t places) const {
  const size_t tenants = active_.size() + (waiting(tenant) == 0 ? 1 : 0);
  return places / tenants;
}

double FairQueue::counter(TenantId tenant) const {
  const Tenant* found = find(tenant);
  return found != nullptr ? static_cast<double>(found->counter) / 1000 : 0;
}

int64_t FairQueue::work_ahead(TenantId id, int priority) const {
  const Tenant* own = find(id);
  const int64_t own_weight = own != nullptr ? own->weight_milli : 1000;
  int64_t own_work = 0;
  if (own != nullptr)
    for (const auto& [level, line] : own->lines) {
      if (level < priority) break;
      own_work += line.work;
    }
  // While this tenant gets its own work done, another gets as much by its weight, if it has it;
  // and before the first of this tenant, one request of each may come.
  int64_t ahead = own_work;
  for (const TenantId other_id : active_) {
    if (other_id == id) continue;
    const Tenant& other = tenants_[other_id.index()];
    const int64_t first = other.work / static_cast<int64_t>(other.waiting);
    ahead += std::min(other.work, own_work * other.weight_milli / own_weight + first);
  }
  return ahead;
}

}  // namespace berth::core
