#pragma once

#include <mutex>
#include <string>

#include "bridge/scheduler.h"
#include "controllers/runner.h"
#include "core/model/event.h"
#include "node/usage.h"

namespace berth::app {

/// How much of the machine one window's samples say was used, as the scheduler takes it. What could
/// not be measured is -1: a machine whose devices do not tell (emulated ones) has no figure for
/// them.
core::NodeSample node_sample(const node::UsageSnapshot& usage, const std::string& node);

/// What its pods used, as the controllers take it.
std::vector<controllers::PodUse> pod_use(const node::UsageSnapshot& usage);

/// Hands what the node agent measures to the scheduler and the controllers, once a window. The
/// agent begins before they do and ends after them; windows in between are lost.
class MeasuredUse {
 public:
  explicit MeasuredUse(std::string node) : node_(std::move(node)) {}

  /// Any thread. Both outlive this, or are taken back with null.
  void feed(bridge::Scheduler* scheduler, controllers::Runner* runner);
  /// On the agent's thread.
  void window(const node::UsageSnapshot& usage);

 private:
  const std::string node_;
  std::mutex mutex_;
  bridge::Scheduler* scheduler_ = nullptr;  // guarded by mutex_
  controllers::Runner* runner_ = nullptr;   // guarded by mutex_
};

}  // namespace berth::app
