#include "core/cost/budget.h"

#include "core/cost/exact_cost.h"

namespace berth::core {
namespace {

constexpr int64_t kDay_ns = 86'400'000'000'000;

int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}

struct Date {
  int64_t year;
  int month;  ///< 1 to 12
};

// Howard Hinnant's algorithms for the proleptic Gregorian calendar; days since 1970-01-01.
int64_t days_of(Date date) {
  const int64_t year = date.year - (date.month <= 2);
  const int64_t era = floor_div(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719'468;
}

Date date_of(int64_t days) {
  days += 719'468;
  const int64_t era = floor_div(days, 146'097);
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int shifted = static_cast<int>((5 * day_of_year + 2) / 153);
  const int month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {year_of_era + era * 400 + (month <= 2), month};
}

Time at_day(int64_t days) {
  return {days * kDay_ns};
}

}  // namespace

BudgetPeriod budget_period(Budget::Period period, Time now) {
  const int64_t today = floor_div(now.ns, kDay_ns);
  switch (period) {
    case Budget::Period::kDay:
      return {at_day(today), at_day(today + 1)};
    case Budget::Period::kWeek: {
      const int64_t monday = floor_div(today + 3, 7) * 7 - 3;  // 1970-01-01 was a Thursday
      return {at_day(monday), at_day(monday + 7)};
    }
    case Budget::Period::kMonth:
      break;
  }
  const Date date = date_of(today);
  const Date next = date.month == 12 ? Date{date.year + 1, 1} : Date{date.year, date.month + 1};
  return {at_day(days_of(date)), at_day(days_of(next))};
}

BudgetDecision judge(const Budget& budget, Money spent, Money per_hour, Time now) {
  BudgetDecision decision;
  const BudgetPeriod period = budget_period(budget.period, now);
  if (spent >= budget.amount) {
    decision.alert = true;
    decision.block = budget.on_exceeded != Budget::OnExceeded::kAlert;
    decision.preempt = budget.on_exceeded == Budget::OnExceeded::kPreempt;
    decision.spent_by = now;
    return decision;
  }
  if (per_hour.micro > 0) {
    const Wide left_ns =
        static_cast<Wide>((budget.amount - spent).micro) * Duration::hours(1).ns / per_hour.micro;
    if (left_ns < (period.end - now).ns)
      decision.spent_by = now + Duration{static_cast<int64_t>(left_ns)};
  }
  decision.alert = decision.spent_by.has_value() ||
                   static_cast<Wide>(spent.micro) * 5 >= static_cast<Wide>(budget.amount.micro) * 4;
  return decision;
}

std::optional<Budget::Period> budget_period_named(std::string_view name) {
  if (name == "Day") return Budget::Period::kDay;
  if (name == "Week") return Budget::Period::kWeek;
  if (name == "Month") return Budget::Period::kMonth;
  return std::nullopt;
}

std::optional<Budget::OnExceeded> on_exceeded_named(std::string_view name) {
  if (name == "Warn") return Budget::OnExceeded::kAlert;
  if (name == "Block") return Budget::OnExceeded::kBlock;
  if (name == "Preempt") return Budget::OnExceeded::kPreempt;
  return std::nullopt;
}

}  // namespace berth::core
