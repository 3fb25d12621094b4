#include "core/cost/focus.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/cost/budget.h"

namespace berth::core {
namespace {

constexpr std::array kColumns = {"BilledCost",
                                 "BillingAccountId",
                                 "BillingAccountName",
                                 "BillingCurrency",
                                 "BillingPeriodEnd",
                                 "BillingPeriodStart",
                                 "ChargeCategory",
                                 "ChargeClass",
                                 "ChargeDescription",
                                 "ChargePeriodEnd",
                                 "ChargePeriodStart",
                                 "ConsumedQuantity",
                                 "ConsumedUnit",
                                 "ContractedCost",
                                 "EffectiveCost",
                                 "InvoiceIssuerName",
                                 "ListCost",
                                 "PricingQuantity",
                                 "PricingUnit",
                                 "ProviderName",
                                 "PublisherName",
                                 "ResourceId",
                                 "ResourceName",
                                 "ServiceCategory",
                                 "ServiceName",
                                 "ServiceSubcategory",
                                 "SubAccountId",
                                 "SubAccountName",
                                 "Tags",
                                 "x_Job",
                                 "x_Model",
                                 "x_Node",
                                 "x_Queue"};

std::string quoted(std::string_view text) {
  if (text.find_first_of(",\"\n\r") == std::string_view::npos) return std::string(text);
  std::string field = "\"";
  for (const char each : text) {
    if (each == '"') field += '"';
    field += each;
  }
  return field + '"';
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char each : text) {
    if (each == '"' || each == '\\')
      (out += '\\') += each;
    else if (static_cast<unsigned char>(each) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(each));
    else
      out += each;
  }
  return out + '"';
}

struct Charge {
  Money cost;
  std::string what;  ///< ChargeDescription
  double unit_hours = 0;
  std::string unit;
  Time from, to;
  const CostInterval* of = nullptr;
};

std::string line(const Charge& charge, const std::string& currency) {
  const BudgetPeriod month = budget_period(Budget::Period::kMonth, charge.from);
  static const CostInterval kNobody;
  const CostInterval& of = charge.of == nullptr ? kNobody : *charge.of;
  const std::string cost = format_money(charge.cost);
  const std::string quantity = fmt::format("{:.9f}", charge.unit_hours);
  const std::string tags =
      fmt::format("{{\"queue\":{},\"model\":{},\"job\":{}}}", json_string(of.owner.queue),
                  json_string(of.owner.model), json_string(of.owner.job));
  const std::array<std::string, kColumns.size()> fields = {cost,
                                                           "berth",
                                                           "Berth",
                                                           currency,
                                                           format_time(month.end),
                                                           format_time(month.start),
                                                           "Usage",
                                                           "",
                                                           charge.what,
                                                           format_micro_time(charge.to),
                                                           format_micro_time(charge.from),
                                                           quantity,
                                                           charge.unit,
                                                           cost,
                                                           cost,
                                                           "Berth",
                                                           cost,
                                                           quantity,
                                                           charge.unit,
                                                           "Berth",
                                                           "Berth",
                                                           of.pod_uid,
                                                           of.owner.job,
                                                           "AI and Machine Learning",
                                                           charge.what,
                                                           "Other (AI and Machine Learning)",
                                                           of.owner.tenant,
                                                           of.owner.tenant,
                                                           tags,
                                                           of.owner.job,
                                                           of.owner.model,
                                                           of.node,
                                                           of.owner.queue};
  std::string row;
  for (size_t i = 0; i < fields.size(); ++i) row += (i == 0 ? "" : ",") + quoted(fields[i]);
  return row + '\n';
}

}  // namespace

std::string format_money(Money money) {
  const bool negative = money.micro < 0;
  const uint64_t micro =
      negative ? -static_cast<uint64_t>(money.micro) : static_cast<uint64_t>(money.micro);
  return fmt::format("{}{}.{:06}", negative ? "-" : "", micro / 1'000'000, micro % 1'000'000);
}

std::string focus_csv(const CostLedger& ledger, const PriceList& prices,
                      const std::string& currency, Time from, Time to) {
  std::string csv;
  for (size_t i = 0; i < kColumns.size(); ++i) (csv += i == 0 ? "" : ",") += kColumns[i];
  csv += '\n';
  Money billed;
  for (const auto& [key, interval] : ledger.intervals()) {
    const Time begin = std::max(from, interval.start);
    const Time end = std::min(to, interval.end.value_or(to));
    if (begin >= end) continue;
    for (const auto& [of, milli_units] : interval.holds) {
      const Money cost = prices.cost(of, milli_units, begin, end).floor();
      billed = billed + cost;
      const double hours =
          (end - begin).to_seconds() / 3600 * static_cast<double>(milli_units) / 1e3;
      csv += line({cost, interval.overhead ? of + " (overhead)" : of, hours, of + "-Hours", begin,
                   end, &interval},
                  currency);
    }
  }
  const CostReport report = ledger.report(prices, CostDimension::kQueue, from, to);
  csv += line(
      {report.total - billed, "idle", (to - from).to_seconds() / 3600, "Hours", from, to, nullptr},
      currency);
  return csv;
}

}  // namespace berth::core
