#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/model/plan.h"
#include "core/model/state.h"
#include "core/placement/placer.h"

namespace berth::core {

/// The constraints of one query, with what they need to know of the whole cluster worked out once.
/// It describes the State at the time of its making.
class Feasibility {
 public:
  Feasibility(const State& state, const PlaceQuery& query);

  /// The first constraint that keeps the task off the node, or nothing: it fits.
  std::optional<Constraint> rejects(const Node& node) const;
  /// The part of `rejects` that neither use nor claims nor cordons change: labels, taints, models.
  std::optional<Constraint> rejects_always(const Node& node) const;
  /// How many tasks like this one the node could hold if it were empty and ready; by capacity,
  /// devices and `rejects_always` without taints (which come and go).
  int64_t slots_when_empty(const Node& node) const;
  /// The same of what is free now on a node that does not reject it: no more of them can go there.
  int64_t slots_when_used(const Node& node) const { return slots(node, false); }
  /// Nodes by the constraint that rejects them.
  Rejections explain() const;

 private:
  struct Domains {
    NameId key;
    std::vector<std::pair<NameId, int32_t>> counts;  ///< by value, sorted
    int32_t least = 0;
    int32_t total = 0;
    int32_t count(NameId value) const;
  };

  /// By capacity and devices: of the empty node, or of what is free.
  int64_t slots(const Node& node, bool empty) const;
  std::optional<Constraint> rejects_devices(const Node& node) const;
  std::optional<Constraint> rejects_tasks(const Node& node) const;
  std::optional<Constraint> rejects_capacity(const Node& node, const Resources& free) const;
  bool selector_matches(const Node& node) const;
  bool affinity_matches(const Node& node) const;
  bool allowed(const DeviceRequest& request, const Device& device) const;
  Domains count_domains(NameId key, const Term& selector, const std::vector<NameId>& namespaces,
                        bool eligible_only) const;

  const State& state_;
  const PlaceQuery& query_;
  const Task& task_;
  const Shape& shape_;
  NameId hostname_;
  std::vector<Domains> affinity_;  ///< one per shape_.filter.tasks
  std::vector<Domains> spread_;    ///< one per shape_.filter.spread
  std::vector<Label> forbidden_;   ///< domains whose tasks do not want this one near
  std::vector<NodeId> forbidden_nodes_;
};

bool matches(const Expression& expression, const Node& node, const NameTable& names);
bool matches(const Expression& expression, std::span<const Label> labels, const NameTable& names);
bool matches(const Term& term, std::span<const Label> labels, const NameTable& names);
bool tolerates(const std::vector<Toleration>& tolerations, const Taint& taint);

}  // namespace berth::core
