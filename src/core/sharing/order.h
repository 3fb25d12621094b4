#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/model/state.h"
#include "core/sharing/entitlement.h"

namespace berth::core {

/// In a queue: higher priority first, then what is no service's growth, then the growth that is
/// worth more, then the older, then by name.
bool serves_before(const Gang& a, const Gang& b);

/// Whose turn it is, one gang at a time. From the roots down, of siblings that have gangs left:
/// last, the one that has only services' growth left, beyond its guarantee and fair share; before,
/// the one whose guarantee (for what its next gang asks) is emptiest, if it is not full; else the
/// one with least dominant share for its weight, then with least past use (where that counts), then
/// by name. Each turn looks at what queues have by then, so what was placed a moment ago counts.
class ServiceOrder {
 public:
  ServiceOrder(const State& state, const Entitlements& entitlements,
               const std::vector<GangId>& gangs);

  /// Nothing when all had their turn.
  std::optional<GangId> next();

 private:
  struct Line {
    std::vector<GangId> gangs;  ///< a leaf's, in order
    size_t at = 0;
    size_t left = 0;           ///< in the queue's whole subtree
    size_t left_minimums = 0;  ///< of these, those that are no service's growth
  };
  bool is_late_growth(QueueId queue) const;
  QueueId choose(std::span<const QueueId> siblings) const;
  GangId head(QueueId queue) const;

  const State& state_;
  const Entitlements& entitlements_;
  std::vector<QueueId> roots_;
  std::vector<Line> lines_;  ///< by queue
};

}  // namespace berth::core
