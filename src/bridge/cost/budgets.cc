#include "bridge/cost/budgets.h"

#include <cmath>

#include <fmt/format.h>

#include "core/cost/focus.h"

namespace berth::bridge {
namespace {

using objects::find_string;

std::optional<core::Budget> read_budget(const Json& queue) {
  const Json* json = objects::find(queue, {"spec", "budget"});
  if (json == nullptr || !json->is_object()) return std::nullopt;
  const Json* amount = objects::find(*json, {"amount"});
  if (amount == nullptr || !amount->is_number()) return std::nullopt;
  core::Budget budget;
  budget.amount.micro = std::llround(amount->to_number<double>() * 1e6);
  budget.period = core::budget_period_named(find_string(*json, {"period"})).value_or(budget.period);
  budget.on_exceeded =
      core::on_exceeded_named(find_string(*json, {"onExceeded"})).value_or(budget.on_exceeded);
  return budget;
}

}  // namespace

bool Budgets::set_queue(const Json& json) {
  const std::string name(find_string(json, {"metadata", "name"}));
  Queue queue{std::string(find_string(json, {"spec", "parent"})), read_budget(json)};
  Queue& known = queues_[name];
  if (known == queue) return false;
  if (known.parent != queue.parent) forget();
  ended_.erase(name);
  known = std::move(queue);
  return true;
}

void Budgets::remove_queue(const std::string& name) {
  queues_.erase(name);
  forget();
}

bool Budgets::any() const {
  for (const auto& [name, queue] : queues_)
    if (queue.budget) return true;
  return false;
}

bool Budgets::covers(const std::string& queue, const std::string& leaf) const {
  std::string at = leaf;
  for (size_t depth = 0; !at.empty() && depth <= queues_.size(); ++depth) {
    if (at == queue) return true;
    const auto found = queues_.find(at);
    if (found == queues_.end()) return false;
    at = found->second.parent;
  }
  return false;
}

void Budgets::on_end(const core::CostInterval& priced) {
  for (auto& [queue, ended] : ended_)
    if (!priced.overhead && covers(queue, priced.owner.queue))
      ended.cost += core::cost_of(priced, prices_, ended.period.start, ended.period.end);
}

std::vector<Budgets::Judgement> Budgets::judge(const core::PriceList& prices, const Intervals& all,
                                               const Intervals& open, Time now) {
  prices_ = prices;
  std::vector<Judgement> judgements;
  for (const auto& [name, queue] : queues_) {
    if (!queue.budget) continue;
    const core::BudgetPeriod period = core::budget_period(queue.budget->period, now);
    auto found = ended_.find(name);
    if (found == ended_.end() || found->second.period.start != period.start) {
      Ended ended{period, {}};
      all(period.start, now, [&](const core::CostInterval& interval) {
        if (interval.end && !interval.overhead && covers(name, interval.owner.queue))
          ended.cost += core::cost_of(interval, prices, period.start, period.end);
      });
      found = ended_.insert_or_assign(name, ended).first;
    }
    core::ExactCost spent = found->second.cost, rate;
    open(period.start, now, [&](const core::CostInterval& interval) {
      if (interval.overhead || !covers(name, interval.owner.queue)) return;
      spent += core::cost_of(interval, prices, period.start, now);
      rate += core::cost_of(interval, prices, now, now + Duration::hours(1));
    });
    judgements.push_back({name, *queue.budget, period, spent.floor(),
                          core::judge(*queue.budget, spent.floor(), rate.floor(), now)});
  }
  return judgements;
}

std::string describe(const core::Budget& budget, const std::string& currency) {
  constexpr std::string_view kPeriods[] = {"day", "week", "month"};
  return fmt::format("{} {} a {}", core::format_money(budget.amount), currency,
                     kPeriods[static_cast<size_t>(budget.period)]);
}

}  // namespace berth::bridge
