#pragma once

#include "core/model/state.h"

namespace berth::core {

/// The nearest of a queue and those above it whose budget is spent now; none: an invalid id.
inline QueueId over_budget(const State& state, QueueId queue) {
  for (; queue.valid(); queue = state.queue(queue).parent)
    if (const QueueBudget& budget = state.queue(queue).budget;
        budget.spent && state.now() < budget.until)
      return queue;
  return {};
}

}  // namespace berth::core
