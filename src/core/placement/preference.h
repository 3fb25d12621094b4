#pragma once

#include "core/model/state.h"

namespace berth::core {

/// What a task would rather have or avoid: the weights of its preferred terms that hold on the
/// node, less one for each `PreferNoSchedule` taint that it does not tolerate. Compared before any
/// score.
int64_t preference(const State& state, const Shape& shape, const Node& node);

}  // namespace berth::core
