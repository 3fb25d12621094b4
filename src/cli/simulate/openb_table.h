#pragma once

#include "objects/json.h"

namespace berth::cli {

/// Prints the `policies` of the openb benchmark's JSON. One policy: a line a seed and the mean.
/// Several: the mean of each, side by side, with 95% confidence intervals.
void print_openb_table(const JsonArray& policies);

}  // namespace berth::cli
