#include "core/placement/preference.h"

#include <algorithm>

#include "core/placement/constraints/feasibility.h"

namespace berth::core {

int64_t preference(const State& state, const Shape& shape, const Node& node) {
  int64_t sum = 0;
  for (const Term& term : shape.filter.preferred)
    if (std::all_of(term.all.begin(), term.all.end(),
                    [&](const Expression& e) { return matches(e, node, state.names()); }))
      sum += term.weight;
  for (const TaskAffinity& term : shape.filter.tasks) {
    if (term.required || !node.label(term.topology_key).valid()) continue;
    const bool near = std::any_of(node.tasks.begin(), node.tasks.end(), [&](TaskId id) {
      const auto labels = state.labels(state.task(id).labels);
      return std::all_of(term.selector.all.begin(), term.selector.all.end(),
                         [&](const Expression& e) { return matches(e, labels, state.names()); });
    });
    if (near) sum += term.anti ? -term.weight : term.weight;
  }
  for (const Taint& taint : node.taints)
    if (taint.effect == TaintEffect::kPreferNoSchedule &&
        !tolerates(shape.filter.tolerations, taint))
      sum -= 1;
  return sum;
}

}  // namespace berth::core
