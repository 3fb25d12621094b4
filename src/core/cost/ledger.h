#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cost/exact_cost.h"
#include "core/cost/price_list.h"

namespace berth::core {

/// Amounts by what is priced: device models and resources in thousandths of a unit (a third of a
/// device is 333), and `node` in thousandths of the node.
using PricedAmounts = std::map<std::string, int64_t>;

/// For whom something runs.
struct CostOwner {
  std::string queue, tenant, model, job;

  auto operator<=>(const CostOwner&) const = default;
};

/// What one pod held of one node, from an instant on.
struct CostInterval {
  std::string pod_uid;
  Time start;
  std::optional<Time> end;  ///< unset while it goes on
  std::string node;
  CostOwner owner;
  bool overhead = false;  ///< Berth's own and the system's, for nobody in particular
  PricedAmounts holds;
};

/// `kConsumer`: tenants, where what a model cost is divided among those who asked it.
enum class CostDimension { kQueue, kTenant, kModel, kJob, kConsumer };
std::optional<CostDimension> cost_dimension(std::string_view name);

/// Tokens in and out together, by (tenant, model).
using TokensOfModels = std::map<std::pair<std::string, std::string>, int64_t>;

/// What a span of time cost. allocated + idle + overhead = total, in whole micro-units.
struct CostReport {
  struct Row {
    std::string key;
    Money cost;
    Duration device_time;  ///< of all devices together, shares as shares
  };
  std::vector<Row> rows;  ///< dearest first; `key` is empty for what names none
  Money allocated, idle, overhead, total;
};

/// Who held what, when: the bill's only source. Intervals are keyed by (pod uid, start) and events
/// may come twice, or again after a crash: the same event changes nothing. Nodes are paid for from
/// when they are there until they are gone, whoever uses them.
class CostLedger {
 public:
  /// A node is there with this capacity (again: from then on with another capacity).
  void on_node(const std::string& node, const PricedAmounts& capacity, Time since);
  void on_node_gone(const std::string& node, Time at);

  /// The first event for its key counts; later ones can only end it.
  void on_start(const CostInterval& interval);
  /// An end that is earlier than the start counts as none held.
  void on_end(const std::string& pod_uid, Time start, Time end);

  /// Of [from, to), by one dimension. By `kConsumer` a model that had `tokens` is paid by their
  /// tenants in proportion, to the last micro-unit, and everything else by its own tenant.
  CostReport report(const PriceList& prices, CostDimension by, Time from, Time to,
                    const TokensOfModels& tokens = {}) const;
  /// What an owner's queue, tenant, ... cost in [from, to).
  Money spent(const PriceList& prices, CostDimension by, const std::string& key, Time from,
              Time to) const;

  /// Forgets what ended before: once it is written elsewhere.
  void forget_before(Time when);
  const std::map<std::pair<std::string, Time>, CostInterval>& intervals() const {
    return intervals_;
  }

 private:
  struct NodeSpan {
    Time since;
    std::optional<Time> until;
    PricedAmounts capacity;
  };

  std::map<std::string, std::vector<NodeSpan>> nodes_;
  std::map<std::pair<std::string, Time>, CostInterval> intervals_;
};

/// Of one interval, as far as it lies in [from, to).
ExactCost cost_of(const CostInterval& interval, const PriceList& prices, Time from, Time to);

/// Rounded down; nothing where there were no tokens.
std::optional<Money> cost_per_million_tokens(Money cost, int64_t tokens);

}  // namespace berth::core
