#include "core/preemption/disruptions.h"

#include <algorithm>

#include "core/placement/constraints/feasibility.h"

namespace berth::core {

Disruptions::Disruptions(const State& state) : state_(state) {
  for (const DisruptionBudget& budget : state.disruption_budgets()) left_.push_back(budget.allowed);
}

int64_t Disruptions::selected(size_t budget, std::span<const TaskId> tasks) const {
  const DisruptionBudget& of = state_.disruption_budgets()[budget];
  return std::count_if(tasks.begin(), tasks.end(), [&](TaskId id) {
    const Task& task = state_.task(id);
    return task.ns == of.ns && matches(of.selector, state_.labels(task.labels), state_.names());
  });
}

bool Disruptions::allow(std::span<const TaskId> tasks) const {
  for (size_t i = 0; i < left_.size(); ++i)
    if (const int64_t stopped = selected(i, tasks); stopped > 0 && stopped > left_[i]) return false;
  return true;
}

void Disruptions::count(std::span<const TaskId> tasks) {
  for (size_t i = 0; i < left_.size(); ++i) left_[i] -= selected(i, tasks);
}

}  // namespace berth::core
