#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/cost/ledger.h"
#include "platform/storage/sqlite.h"

namespace berth::bridge {

/// Tokens that gateways counted.
struct TokenCount {
  int64_t input = 0, output = 0;
  bool operator==(const TokenCount&) const = default;
};

/// Who held what, when; prices; and tokens: in a SQLite file, with how far it has come in reading
/// the API (`cursor`). Both change together, in one transaction, so that what is read again after a
/// crash is neither lost nor counted twice. Used by one thread at a time.
///
/// Amounts are those of `holdings.h`, not priced.
class LedgerFile {
 public:
  static Result<LedgerFile> open(const std::filesystem::path& file);

  /// What is written from `begin` on is there once `commit` returned, or not at all.
  Result<> begin();
  Result<> commit();
  void roll_back();

  /// One that is known by (pod uid, start) stays as it is.
  Result<> add(const core::CostInterval& interval);
  /// One that has ended stays as it is.
  Result<> end(const std::string& pod_uid, Time start, Time end);

  /// A node, from an instant on; with another capacity than before, from then on.
  Result<> add_node(const std::string& node, const core::PricedAmounts& capacity, Time since);
  Result<> end_node(const std::string& node, Time at);

  Result<> set_prices(const core::PriceList& prices, const std::string& currency);
  Result<std::pair<core::PriceList, std::string>> prices();

  /// What a gateway has counted since it was first started, for a tenant and model. What is more
  /// than it said before counts to the minute of `at`.
  Result<> count_tokens(const std::string& gateway, const std::string& tenant,
                        const std::string& model, TokenCount total, Time at);
  /// By (tenant, model), in the minutes of [from, to).
  using Tokens = std::map<std::pair<std::string, std::string>, TokenCount>;
  Result<Tokens> tokens(Time from, Time to);

  Result<std::string> cursor(const std::string& of);
  Result<> set_cursor(const std::string& of, const std::string& cursor);

  /// What lies, in part at least, in [from, to).
  Result<> each_interval(Time from, Time to, const std::function<void(core::CostInterval)>& visit);
  struct NodeSpan {
    std::string node;
    Time since;
    std::optional<Time> until;
    core::PricedAmounts capacity;
  };
  Result<> each_node(Time from, Time to, const std::function<void(NodeSpan)>& visit);

 private:
  Result<platform::SqliteStatement*> statement(const char* sql);

  std::unique_ptr<platform::SqliteDatabase> database_;
  std::map<std::string, platform::SqliteStatement, std::less<>> statements_;
};

}  // namespace berth::bridge
