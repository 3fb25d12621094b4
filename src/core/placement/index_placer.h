#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "core/placement/candidate_index.h"
#include "core/placement/constraints/feasibility.h"
#include "core/placement/placer.h"
#include "core/placement/policies/policy.h"

namespace berth::core {

/// Places by a policy of `placement_policies()`, with an index by shape that looks again only at
/// nodes that changed. Where the answer for a node depends on other nodes (affinity between tasks,
/// spreading) or on preferences, it looks at every node.
///
/// The mix that the policy expects is that of the tasks in State, each shape's count rounded down
/// to a power of two, so that indexes outlive most arrivals. Ties go to the node that came first.
class IndexPlacer final : public Placer {
 public:
  /// `policy` has a scorer.
  explicit IndexPlacer(const PlacementPolicy& policy) : policy_(policy) {}
  std::optional<Placement> place(const State& state, const PlaceQuery& query) override;

 private:
  /// What decides whether a node admits a task, and its score.
  using Key = std::tuple<ShapeId, AcceleratorMask, Label>;
  struct Index {
    ScoreTree tree;
    uint64_t seen;
  };

  void follow(const State& state);
  void learn_mix(const State& state);
  void rebuild(const State& state);
  bool needs_scan(const Shape& shape) const;
  void note_soft_taints(const Node& node, uint32_t n);
  int32_t score(const State& state, const Feasibility& feasible, const Request& request,
                uint32_t n) const;
  uint32_t best_by_index(const State& state, const PlaceQuery& query, const Feasibility& feasible,
                         const Request& request);
  uint32_t best_by_scan(const State& state, const PlaceQuery& query, const Feasibility& feasible,
                        const Request& request) const;
  std::optional<Placement> take(const State& state, const PlaceQuery& query, uint32_t n,
                                const Request& request) const;

  const PlacementPolicy& policy_;
  Fleet fleet_;  ///< node n is NodeId{n}; what is not alive has nothing free
  std::unique_ptr<Scorer> scorer_;
  std::map<Key, Index> indexes_;
  uint64_t cursor_ = 0;
  std::vector<std::pair<ShapeId, int64_t>> mix_;  ///< rounded counts
  Time mix_time_{-1};
  size_t mix_tasks_ = 0;
  size_t shapes_seen_ = 0;
  std::vector<bool> soft_taints_;  ///< by node: has a `PreferNoSchedule` taint
  int nodes_with_soft_taints_ = 0;
  bool tasks_repel_ = false;  ///< some shape wants to be away from others
};

}  // namespace berth::core
