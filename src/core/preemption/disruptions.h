#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/state.h"

namespace berth::core {

/// What disruption budgets leave room for, while a plan is made. For moves and turns, which need
/// not be; who is owed a place gets it, and the API delays what a budget forbids.
class Disruptions {
 public:
  explicit Disruptions(const State& state);

  /// May all of these be stopped, besides those that are to be stopped already?
  bool allow(std::span<const TaskId> tasks) const;
  /// They are to be stopped, allowed or not.
  void count(std::span<const TaskId> tasks);

 private:
  int64_t selected(size_t budget, std::span<const TaskId> tasks) const;

  const State& state_;
  std::vector<int64_t> left_;  ///< of each of the state's budgets
};

}  // namespace berth::core
