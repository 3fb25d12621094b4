#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "core/model/state.h"
#include "core/placement/placer.h"

namespace berth::bench {

/// What a part measured, by name; `bench/core` has the goals.
using Measures = std::vector<std::pair<std::string, double>>;

/// The CPU time of this thread: other programs disturb it little.
class Stopwatch final : public Clock {
 public:
  Time now() const override;
};

/// Seconds of CPU that `work` takes.
template <class Work>
double seconds(Work&& work) {
  const Time start = Stopwatch().now();
  work();
  return (Stopwatch().now() - start).to_seconds();
}

/// A cluster that does at once what is decided.
class Cluster {
 public:
  explicit Cluster(const std::string& profile);
  void add(const core::Event& event) { state_.apply(event); }
  /// Decides, carries out, and says what was done.
  core::Plan cycle(Time now);
  const core::State& state() const { return state_; }
  /// Of the newest cycle: `control::decide` alone.
  double decision_seconds() const { return decision_seconds_; }

 private:
  core::State state_;
  std::unique_ptr<core::Placer> placer_;
  uint64_t plans_ = 0;
  double decision_seconds_ = 0;
};

/// A node of `devices` equal GPUs with named devices.
core::NodeUpsert gpu_node(const std::string& name, int devices, const std::string& rack = "");
/// A task that asks for `devices` whole GPUs.
core::TaskUpsert gpu_task(const std::string& name, int devices, const std::string& queue,
                          const std::string& gang = "");
/// The same, running on these devices of a node since `started`.
core::TaskUpsert running(core::TaskUpsert task, const std::string& node, int first_device,
                         Time started);

/// The openb benchmark: index against plain scan, one decision's time, and many task shapes.
Measures placement(const std::string& traces);
/// A gang of 1,000 in one rack of 10,000 nodes that are 95% allocated.
Measures gang();
/// A queue reclaims its guarantee of half of 500 full nodes.
Measures reclaim();
/// 10,000 nodes and 100,000 tasks.
Measures memory();

}  // namespace berth::bench
