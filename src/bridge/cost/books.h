#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "bridge/cost/budgets.h"
#include "bridge/cost/ledger_file.h"

namespace berth::bridge {

/// The ledger as objects change it, and what is asked of it: the bookkeeper without its thread and
/// its watches. What is written is kept with the next `keep`.
class Books {
 public:
  static Result<Books> open(const std::filesystem::path& file);

  /// Fails on another currency than the ledger's; then nothing changes.
  Result<> set_prices(const core::PriceList& said, const std::string& currency, Time now);

  void on_node(const Json& node, Time now);
  void on_node_gone(const Json& node, Time now);
  /// `node`: where it is bound; may be null.
  void on_pod(const Json& pod, const Json& node, core::CostOwner owner, Time now);
  void on_pod_gone(const Json& pod, const Json& node, core::CostOwner owner, Time now);
  /// Ends what is not among those that there are.
  void on_all_pods(const std::function<bool(const std::string& uid)>& there, Time now);
  void on_tokens(const std::string& gateway, const std::string& tenant, const std::string& model,
                 TokenCount total, Time at);

  /// Everything so far, and how far the watch of Pods has come, survives the process. On an error
  /// what was not kept is forgotten: go on from `cursor`.
  Result<> keep(const std::string& cursor);
  bool changed() const { return changed_; }
  Result<std::string> cursor() { return file_.cursor("pods"); }

  Result<Json> report(core::CostDimension by, Time from, Time to);
  Result<std::string> focus(Time from, Time to);

  Budgets& budgets() { return budgets_; }
  std::vector<Budgets::Judgement> judge(Time now);
  const std::string& currency() const { return currency_; }

 private:
  explicit Books(LedgerFile file) : file_(std::move(file)) {}
  Result<> load();
  /// Begins a transaction where there is none; errors wait for `keep`.
  void write(const std::function<Result<>()>& what);
  void hold(core::CostInterval interval, Time now);
  void close(const std::string& uid, Time end);
  Result<core::CostLedger> ledger(Time from, Time to);

  LedgerFile file_;
  core::PriceList prices_;
  std::string currency_;
  Budgets budgets_;
  std::map<std::string, core::CostInterval> open_;    ///< by pod uid, not priced
  std::map<std::string, core::PricedAmounts> nodes_;  ///< their capacities, as written
  Result<> trouble_{};
  bool changed_ = false;
};

}  // namespace berth::bridge
