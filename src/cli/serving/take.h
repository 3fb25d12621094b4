#pragma once

#include <string>

#include "base/error.h"
#include "simulation/serving/fit.h"

namespace berth::cli {

/// Reads `A..B`: rows A to B - 1, from 0; empty is all `rows`.
Result<simulation::Take> parse_take(const std::string& text, size_t rows);

}  // namespace berth::cli
