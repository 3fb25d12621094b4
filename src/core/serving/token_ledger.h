#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace berth::core {

/// How an accepted request ended. Each has exactly one of these.
enum class Outcome {
  kAnswered,     ///< a whole answer reached the client
  kRefused,      ///< it waited, and was turned away
  kFailed,       ///< an error of the gateway's own, or an answer that broke off
  kPassedError,  ///< an error of the server's, passed on
  kCancelled,    ///< the client left
};

/// Tokens of one request: from the server's `usage`, else counted by the gateway.
struct TokenUse {
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  bool counted = false;  ///< by the gateway: an estimate

  bool operator==(const TokenUse&) const = default;
};

/// What one tenant did with one model. Everything adds up:
/// accepted = answered + refused + failed + passed errors + cancelled + open.
struct TenantUse {
  int64_t accepted = 0;
  int64_t answered = 0;
  int64_t refused = 0;
  int64_t failed = 0;
  int64_t passed_errors = 0;
  int64_t cancelled = 0;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  int64_t counted_requests = 0;  ///< whose tokens are estimates

  int64_t ended() const { return answered + refused + failed + passed_errors + cancelled; }
  int64_t open() const { return accepted - ended(); }
  bool operator==(const TenantUse&) const = default;
};

/// Tokens and requests by tenant and model. Answers that failed or were cancelled count what was
/// generated: the device did that work.
class TokenLedger {
 public:
  using Key = std::pair<std::string, std::string>;  ///< tenant, model

  /// The row stays where it is for as long as the ledger.
  TenantUse& row(const std::string& tenant, const std::string& model) {
    return rows_[{tenant, model}];
  }
  static void on_accepted(TenantUse& row) { ++row.accepted; }
  static void on_end(TenantUse& row, Outcome outcome, const TokenUse& use);

  const std::map<Key, TenantUse>& rows() const { return rows_; }
  TenantUse total() const;

 private:
  std::map<Key, TenantUse> rows_;
};

}  // namespace berth::core
