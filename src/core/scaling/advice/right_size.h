#pragma once

#include <cstdint>
#include <vector>

#include "base/money.h"
#include "base/time.h"

namespace berth::core {

/// What one container used in one window of measurement.
struct SizeSample {
  Time at;  ///< the end of the window
  Duration window;
  int64_t cpu_milli = 0;  ///< averaged over the window
  int64_t memory_bytes = 0;
};

/// What a container asks for. Zero: nothing.
struct ContainerSize {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;

  bool operator==(const ContainerSize&) const = default;
};

/// CPU by a percentile of the use and memory by its peak (too little CPU slows, too little memory
/// kills), each with headroom. The shape is that of Kubernetes' vertical pod autoscaler, whose
/// defaults are a percentile of 0.9 (of memory: of the peaks of days), headroom of 0.15, at least
/// 25 m and 250 MB, and no change below 0.1 of what is requested (its target-cpu-percentile,
/// recommendation-margin-fraction, pod-recommendation-min-cpu-millicores and -memory-mb,
/// pod-update-threshold). That memory goes by peaks is also in Autopilot (Rzadca et al., EuroSys
/// 2020).
struct RightSizeRule {
  double percentile = 0.95;  ///< of CPU use, in (0, 1], by nearest rank
  double headroom = 0.15;    ///< over what was used
  double tolerance = 0.1;    ///< of the request; what differs by less fits
  size_t least_samples = 3;  ///< fewer judge nothing
  Duration least_time = Duration::seconds(30);
  int64_t least_cpu_milli = 25;
  int64_t least_memory_bytes = int64_t{16} << 20;
  int64_t idle_cpu_milli = 5;  ///< idle is what never used more
};

enum class SizeVerdict {
  kUnknown,  ///< too little was measured
  kFits,
  kTooLarge,
  kTooSmall,
  kNoRequest,
};

struct SizeAdvice {
  SizeVerdict verdict = SizeVerdict::kUnknown;
  int64_t used = 0;     ///< by the rule, without headroom
  int64_t advised = 0;  ///< the request as it is where it fits or too little is known
};

struct RightSize {
  SizeAdvice cpu;     ///< milli-CPU
  SizeAdvice memory;  ///< bytes; advised in whole MiB
  bool idle = false;
  size_t samples = 0;
  Duration measured;  ///< from the first window's beginning to the last one's end

  /// As advised.
  ContainerSize size() const { return {cpu.advised, memory.advised}; }
};

/// Whether a request fits what was used. Samples of replicas of one container are judged together,
/// in any order, so the busiest replica counts.
RightSize right_size(const std::vector<SizeSample>& samples, const ContainerSize& request,
                     const RightSizeRule& rule = {});

/// A limit that keeps its ratio to the request when that becomes `advised`, as the vertical pod
/// autoscaler keeps it; rounded up. No less than `advised`. Where nothing was requested or nothing
/// limited, the limit as it is, raised to `advised` where it is below.
int64_t scaled_limit(int64_t limit, int64_t request, int64_t advised);

/// What things cost an hour.
struct SizePrices {
  Money core;
  Money gib;
};

/// What a size costs an hour, rounded down to the micro-unit.
Money cost_per_hour(const ContainerSize& size, const SizePrices& prices);

}  // namespace berth::core
