#pragma once

#include <string>
#include <vector>

#include "objects/json.h"
#include "simulation/openb.h"

namespace berth::cli {

struct OpenbCurves {
  std::string policy;
  std::vector<std::vector<simulation::OpenbPoint>> by_seed;
};

/// `policies`: as in the benchmark's JSON.
std::string openb_report(const std::string& trace, const JsonArray& policies,
                         const std::vector<OpenbCurves>& curves);

}  // namespace berth::cli
