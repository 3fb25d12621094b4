#pragma once

#include <string>

#include "core/cost/ledger.h"

namespace berth::core {

/// A bill in the FinOps Open Cost and Usage Specification, version 1.2: CSV, one row an interval
/// and priced thing, idle and overhead as rows of their own, so that BilledCost sums to the
/// report's total. Own columns begin with `x_`. https://focus.finops.org/focus-specification
std::string focus_csv(const CostLedger& ledger, const PriceList& prices,
                      const std::string& currency, Time from, Time to);

/// `12.345678`: all six digits.
std::string format_money(Money money);

}  // namespace berth::core
