#include "core/serving/token_ledger.h"

namespace berth::core {

void TokenLedger::on_end(TenantUse& row, Outcome outcome, const TokenUse& use) {
  switch (outcome) {
    case Outcome::kAnswered:
      ++row.answered;
      break;
    case Outcome::kRefused:
      ++row.refused;
      break;
    case Outcome::kFailed:
      ++row.failed;
      break;
    case Outcome::kPassedError:
      ++row.passed_errors;
      break;
    case Outcome::kCancelled:
      ++row.cancelled;
      break;
  }
  row.input_tokens += use.input_tokens;
  row.output_tokens += use.output_tokens;
  row.counted_requests += use.counted ? 1 : 0;
}

TenantUse TokenLedger::total() const {
  TenantUse sum;
  for (const auto& [key, row] : rows_) {
    sum.accepted += row.accepted;
    sum.answered += row.answered;
    sum.refused += row.refused;
    sum.failed += row.failed;
    sum.passed_errors += row.passed_errors;
    sum.cancelled += row.cancelled;
    sum.input_tokens += row.input_tokens;
    sum.output_tokens += row.output_tokens;
    sum.counted_requests += row.counted_requests;
  }
  return sum;
}

}  // namespace berth::core
