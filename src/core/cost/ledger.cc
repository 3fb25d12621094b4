#include "core/cost/ledger.h"

#include <algorithm>
#include <set>

namespace berth::core {
namespace {

ExactCost cost_of_amounts(const PricedAmounts& amounts, const PriceList& prices, Time from,
                          Time to) {
  ExactCost sum;
  for (const auto& [of, milli_units] : amounts) sum += prices.cost(of, milli_units, from, to);
  return sum;
}

const std::string& key_of(const CostOwner& owner, CostDimension by) {
  switch (by) {
    case CostDimension::kQueue:
      return owner.queue;
    case CostDimension::kTenant:
    case CostDimension::kConsumer:
      return owner.tenant;
    case CostDimension::kModel:
      return owner.model;
    case CostDimension::kJob:
      break;
  }
  return owner.job;
}

Duration device_time(const CostInterval& interval, Time from, Time to) {
  const Time begin = std::max(from, interval.start);
  const Time end = std::min(to, interval.end.value_or(to));
  if (begin >= end) return {};
  int64_t milli_devices = 0;
  for (const auto& [of, milli_units] : interval.holds)
    if (of != kNodeHour && of != "cpu" && of != "memory" && of != "ephemeral-storage")
      milli_devices += milli_units;
  return {static_cast<int64_t>(static_cast<Wide>((end - begin).ns) * milli_devices / 1000)};
}

struct Sum {
  ExactCost cost;
  Duration device_time;
};

/// The part of `whole` that comes after `before` of `all` and is `part` of it: parts add up.
int64_t share(int64_t whole, int64_t before, int64_t part, int64_t all) {
  const auto up_to = [&](int64_t of) {
    return static_cast<int64_t>(static_cast<Wide>(whole) * of / all);
  };
  return up_to(before + part) - up_to(before);
}

/// What each model with tokens cost moves to the tenants whose they were.
void divide(const std::map<std::string, Sum>& models, const TokensOfModels& tokens,
            std::map<std::string, CostReport::Row>& rows) {
  std::map<std::string, int64_t> all, before;
  for (const auto& [of, count] : tokens) all[of.second] += count;
  for (const auto& [of, count] : tokens) {
    const auto& [tenant, model] = of;
    const auto sum = models.find(model);
    if (sum == models.end() || count == 0) continue;
    CostReport::Row& row = rows[tenant];
    row.cost.micro += share(sum->second.cost.floor().micro, before[model], count, all[model]);
    row.device_time.ns += share(sum->second.device_time.ns, before[model], count, all[model]);
    before[model] += count;
  }
}

}  // namespace

std::optional<CostDimension> cost_dimension(std::string_view name) {
  if (name == "queue") return CostDimension::kQueue;
  if (name == "tenant") return CostDimension::kTenant;
  if (name == "model") return CostDimension::kModel;
  if (name == "job") return CostDimension::kJob;
  if (name == "consumer") return CostDimension::kConsumer;
  return std::nullopt;
}

ExactCost cost_of(const CostInterval& interval, const PriceList& prices, Time from, Time to) {
  return cost_of_amounts(interval.holds, prices, std::max(from, interval.start),
                         std::min(to, interval.end.value_or(to)));
}

void CostLedger::on_node(const std::string& node, const PricedAmounts& capacity, Time since) {
  std::vector<NodeSpan>& spans = nodes_[node];
  if (!spans.empty() && !spans.back().until) {
    if (spans.back().capacity == capacity || since <= spans.back().since) return;
    spans.back().until = since;
  }
  // One that was gone cannot have been back before it went.
  if (!spans.empty()) since = std::max(since, *spans.back().until);
  spans.push_back({since, std::nullopt, capacity});
}

void CostLedger::on_node_gone(const std::string& node, Time at) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || found->second.back().until) return;
  found->second.back().until = std::max(at, found->second.back().since);
}

void CostLedger::on_start(const CostInterval& interval) {
  intervals_.emplace(std::pair(interval.pod_uid, interval.start), interval);
}

void CostLedger::on_end(const std::string& pod_uid, Time start, Time end) {
  const auto found = intervals_.find({pod_uid, start});
  if (found == intervals_.end() || found->second.end) return;
  found->second.end = std::max(start, end);
}

CostReport CostLedger::report(const PriceList& prices, CostDimension by, Time from, Time to,
                              const TokensOfModels& tokens) const {
  std::set<std::string_view> asked;  // models whose cost is divided
  if (by == CostDimension::kConsumer)
    for (const auto& [of, count] : tokens)
      if (count > 0) asked.insert(of.second);
  ExactCost total, overhead;
  for (const auto& [node, spans] : nodes_)
    for (const NodeSpan& span : spans)
      total += cost_of_amounts(span.capacity, prices, std::max(from, span.since),
                               std::min(to, span.until.value_or(to)));
  std::map<std::string, Sum> groups, models;
  for (const auto& [key, interval] : intervals_) {
    const ExactCost cost = cost_of(interval, prices, from, to);
    if (interval.overhead) {
      overhead += cost;
      continue;
    }
    const Duration held = device_time(interval, from, to);
    if (cost == ExactCost() && held.ns == 0) continue;
    Sum& sum = asked.contains(interval.owner.model) ? models[interval.owner.model]
                                                    : groups[key_of(interval.owner, by)];
    sum.cost += cost;
    sum.device_time = sum.device_time + held;
  }
  std::map<std::string, CostReport::Row> rows;
  for (const auto& [key, sum] : groups) rows[key] = {key, sum.cost.floor(), sum.device_time};
  divide(models, tokens, rows);
  CostReport report;
  for (auto& [key, row] : rows) {
    report.allocated = report.allocated + row.cost;
    row.key = key;
    report.rows.push_back(std::move(row));
  }
  std::stable_sort(report.rows.begin(), report.rows.end(),
                   [](const auto& a, const auto& b) { return a.cost > b.cost; });
  // Parts are rounded down, so they never exceed the whole; what rounding leaves is idle.
  report.overhead = overhead.floor();
  report.total = total.floor();
  report.idle = report.total - report.allocated - report.overhead;
  return report;
}

Money CostLedger::spent(const PriceList& prices, CostDimension by, const std::string& key,
                        Time from, Time to) const {
  ExactCost sum;
  for (const auto& [at, interval] : intervals_)
    if (!interval.overhead && key_of(interval.owner, by) == key)
      sum += cost_of(interval, prices, from, to);
  return sum.floor();
}

void CostLedger::forget_before(Time when) {
  std::erase_if(intervals_,
                [&](const auto& each) { return each.second.end && *each.second.end <= when; });
  for (auto& [node, spans] : nodes_)
    std::erase_if(spans, [&](const NodeSpan& span) { return span.until && *span.until <= when; });
  std::erase_if(nodes_, [](const auto& each) { return each.second.empty(); });
}

std::optional<Money> cost_per_million_tokens(Money cost, int64_t tokens) {
  if (tokens <= 0) return std::nullopt;
  return Money{static_cast<int64_t>(static_cast<Wide>(cost.micro) * 1'000'000 / tokens)};
}

}  // namespace berth::core
