#pragma once

#include "core/placement/placer.h"

namespace berth::core {

/// What makes a node the better choice.
enum class NodeOrder : uint8_t {
  kPack,       ///< the fullest by requests: leaves whole nodes for what needs them
  kSpread,     ///< the emptiest by requests
  kLeastUsed,  ///< the least busy by measured use; by requests where nothing was measured
};

/// Looks at every node for every task: plain, and the reference for faster placers.
///
/// A node's fullness is that of its fullest resource after the task is on it, among those that the
/// task asks for. Measured use lags behind, so kLeastUsed takes the mean of what was measured and
/// what is requested: a node that was given work a moment ago does not look idle. Preferred node
/// affinity, preferred task affinity and `PreferNoSchedule` taints count before fullness. Ties go
/// to the node that came first.
class ScanPlacer : public Placer {
 public:
  explicit ScanPlacer(NodeOrder order) : order_(order) {}
  std::optional<Placement> place(const State& state, const PlaceQuery& query) override;

 private:
  NodeOrder order_;
};

}  // namespace berth::core
