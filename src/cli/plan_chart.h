#pragma once

#include <string>
#include <vector>

#include "core/scaling/models/sizing.h"

namespace berth::cli {

/// One line a size: a bar as long as the bounded time, and a mark where the bound is.
std::string plan_bars(const std::vector<core::QueueForecast>& rows,
                      const core::LatencyObjective& objective);

/// The same as a picture: the bounded time over the number of servers, the bound as a line.
std::string plan_svg(const std::vector<core::QueueForecast>& rows,
                     const core::LatencyObjective& objective, int answer);

}  // namespace berth::cli
