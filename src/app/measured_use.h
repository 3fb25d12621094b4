#pragma once

#include <mutex>
#include <string>

#include "bridge/scheduler.h"
#include "core/model/event.h"
#include "node/usage.h"

namespace berth::app {

/// How much of the machine one window's samples say was used, as the scheduler takes it. What could
/// not be measured is -1: a machine whose devices do not tell (emulated ones) has no figure for
/// them.
core::NodeSample node_sample(const node::UsageSnapshot& usage, const std::string& node);

/// Hands what the node agent measures to the scheduler, one event a window. The agent begins before
/// the scheduler does and ends after it; windows in between are lost.
class MeasuredUse {
 public:
  explicit MeasuredUse(std::string node) : node_(std::move(node)) {}

  /// Any thread. `scheduler` outlives this, or is taken back with null.
  void feed(bridge::Scheduler* scheduler);
  /// On the agent's thread.
  void window(const node::UsageSnapshot& usage);

 private:
  const std::string node_;
  std::mutex mutex_;
  bridge::Scheduler* scheduler_ = nullptr;  // guarded by mutex_
};

}  // namespace berth::app
