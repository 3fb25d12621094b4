#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/cost/budget.h"
#include "core/cost/ledger.h"
#include "objects/json.h"

namespace berth::bridge {

/// What queues with a budget, and those below them, have spent in its present period.
class Budgets {
 public:
  /// Calls back with every priced interval that lies in [from, to) in part.
  using Intervals = std::function<void(
      Time from, Time to, const std::function<void(const core::CostInterval&)>& visit)>;

  struct Judgement {
    std::string queue;
    core::Budget budget;
    core::BudgetPeriod period;
    Money spent;
    core::BudgetDecision decision;
  };

  /// A Queue as it is now. True: what it may spend, or whose spending counts for it, is other now.
  bool set_queue(const Json& queue);
  void remove_queue(const std::string& name);
  bool any() const;

  /// What ended since it was asked for last.
  void on_end(const core::CostInterval& priced);
  /// Prices changed: everything is added up anew.
  void forget() { ended_.clear(); }

  /// In the order of names. `all` is asked for what `on_end` has not told.
  std::vector<Judgement> judge(const core::PriceList& prices, const Intervals& all,
                               const Intervals& open, Time now);

 private:
  struct Queue {
    std::string parent;
    std::optional<core::Budget> budget;
    bool operator==(const Queue&) const = default;
  };
  /// What has ended, of a period.
  struct Ended {
    core::BudgetPeriod period;
    core::ExactCost cost;
  };

  bool covers(const std::string& queue, const std::string& leaf) const;

  std::map<std::string, Queue> queues_;
  std::map<std::string, Ended> ended_;  ///< by queue
  core::PriceList prices_;              ///< of `ended_`
};

/// `10.00 USD a month`.
std::string describe(const core::Budget& budget, const std::string& currency);

}  // namespace berth::bridge
