#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "core/scaling/advice/right_size.h"

namespace berth::core {

/// What may be asked for of a resource. Without a `most` it is not scaled.
struct SizeRange {
  int64_t least = 0;
  int64_t most = 0;
};

/// Growth goes by the latest `fit.least_time` and shrinking by a whole window, so that a size grows
/// soon, shrinks late, and changes at most as often.
struct ResizeRule {
  RightSizeRule fit = {};
  Duration window = Duration::minutes(5);
  /// Use of so much of a limit tells no more than that the need is larger: twice is asked for.
  double at_limit = 0.95;
};

/// One container, in all pods that are alike.
struct ResizeInput {
  std::vector<SizeSample> samples;  ///< since the last change; of the latest window at most
  ContainerSize request;
  ContainerSize limit;  ///< zero: none
  SizeRange cpu;
  SizeRange memory;
  ContainerSize room;        ///< by how much the request can grow where each of the pods runs
  int64_t killed_bytes = 0;  ///< the largest request with which it was killed for want of memory
};

enum class Resize { kStays, kGrows, kShrinks, kCannotGrow };

struct AmountDecision {
  Resize move = Resize::kStays;
  int64_t amount = 0;  ///< to ask for from now on
  std::string reason;  ///< empty where it just stays
};

struct ResizeDecision {
  AmountDecision cpu;     ///< milli-CPU
  AmountDecision memory;  ///< bytes

  ContainerSize size() const { return {cpu.amount, memory.amount}; }
};

/// What a container is to ask for while it runs. By the rule of `right_size`; besides:
/// - what uses its limit up, or was killed for want of memory, gets twice as much;
/// - nothing is set outside its range, no memory below its peak and headroom, and none that is not
///   more, by the headroom, than what it was killed with;
/// - what has no request is left so.
ResizeDecision decide_resize(const ResizeInput& input, const ResizeRule& rule = {});

}  // namespace berth::core
