#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::core {

/// A job as a time-slicing policy may see it. How long it will run is not in here, unless somebody
/// estimated it.
struct SliceJob {
  uint32_t id = 0;  ///< stable; the last tie-break
  int devices = 1;  ///< runs on all of them or not at all
  double arrived_s = 0;
  double attained_s = 0;  ///< useful running time so far
  bool running = false;   ///< ran in the round before: going on costs nothing
  uint32_t model = 0;     ///< jobs of one model resemble each other
  /// Its whole running time, as a time limit or an estimate would say; may be wrong.
  std::optional<double> estimate_s{};
};

/// A job that ended: what may be learned from.
struct PastJob {
  uint32_t model = 0;
  double runtime_s = 0;
  std::optional<double> estimate_s{};  ///< what was estimated, where it was
};

/// Everything that a decision depends on.
struct SliceView {
  double now_s = 0;
  double round_s = 120;
  double restart_cost_s = 0;
  int devices = 0;
  /// The slow-down that counts as fair: jobs per device over the period that fairness is measured
  /// in, at least 1. Part of how fairness is defined, not of what is known about a job.
  double contention = 1;
  std::span<const SliceJob> jobs{};  ///< unfinished, by id
  std::span<const PastJob> past{};
};

/// Chooses which jobs run in the next round. Deterministic: equal sequences of views give equal
/// answers.
class TimeSlicer {
 public:
  virtual ~TimeSlicer() = default;
  /// Indices into `view.jobs`; together they need at most `view.devices`.
  virtual std::vector<size_t> choose(const SliceView& view) = 0;
};

struct TimeSlicingPolicy {
  std::string_view name;
  std::string_view idea;
  bool needs_estimates;
  std::unique_ptr<TimeSlicer> (*make)();
};

/// `berth` first. A new one is one row.
std::span<const TimeSlicingPolicy> time_slicing_policies();
const TimeSlicingPolicy* find_time_slicing_policy(std::string_view name);

/// Takes jobs in this order, skipping what no longer fits.
std::vector<size_t> fill_in_order(const SliceView& view, std::span<const size_t> order);

}  // namespace berth::core
