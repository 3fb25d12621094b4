#pragma once

#include <vector>

#include "core/model/state.h"
#include "simulation/cluster/cluster.h"

namespace berth::simulation {

/// Takes the frames of a run: at first often, and half as often each time that there are too many.
class Camera {
 public:
  Camera(const Workload& workload, size_t frames);

  /// After a cycle at `at_s`; `waits_s`: how long each job that waits has waited so far.
  void look(const core::State& state, double at_s, const std::vector<double>& waits_s);
  bool wants(double at_s) const { return at_s >= next_s_; }
  std::vector<Frame> take() { return std::move(frames_); }

 private:
  struct Kind {
    int64_t cpu_milli, memory_bytes;
    int devices, milli;
    std::vector<std::string> models;
    double share;
  };
  double fragmented_percent(const core::State& state, int64_t all_milli) const;

  const Workload& workload_;
  size_t most_;
  double every_s_;
  double next_s_ = 0;
  std::vector<Kind> kinds_;
  std::vector<Frame> frames_;
};

/// Thousandths of GPUs in use, and that there are.
int64_t used_milli(const core::Node& node);
int64_t device_milli(const core::Node& node);

}  // namespace berth::simulation
