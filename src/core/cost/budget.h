#pragma once

#include <optional>
#include <string_view>

#include "base/money.h"
#include "base/time.h"

namespace berth::core {

/// What a queue may spend.
struct Budget {
  enum class Period { kDay, kWeek, kMonth };
  /// What happens once it is spent: somebody is told; nothing new is admitted; or what runs is
  /// preempted too. Blocking and preempting also alert.
  enum class OnExceeded { kAlert, kBlock, kPreempt };

  Money amount;
  Period period = Period::kMonth;
  OnExceeded on_exceeded = OnExceeded::kAlert;
  bool operator==(const Budget&) const = default;
};

/// The period of that instant: UTC days, weeks from Monday, months.
struct BudgetPeriod {
  Time start, end;
};
BudgetPeriod budget_period(Budget::Period period, Time now);

struct BudgetDecision {
  bool alert = false;    ///< four fifths are spent, or at the present rate it will not last
  bool block = false;    ///< nothing more is admitted until the period ends
  bool preempt = false;  ///< what runs goes, too
  /// When it will be spent at the present rate, where that is before the period ends.
  std::optional<Time> spent_by;
};

/// `spent`: in the period of `now`; `per_hour`: what runs now costs.
BudgetDecision judge(const Budget& budget, Money spent, Money per_hour, Time now);

/// As a Queue names them: Day, Week, Month; Warn, Block, Preempt.
std::optional<Budget::Period> budget_period_named(std::string_view name);
std::optional<Budget::OnExceeded> on_exceeded_named(std::string_view name);

}  // namespace berth::core
