#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace berth::traces {

/// A training job of the Shockwave trace (Zheng et al., NSDI 2023).
struct TrainingJob {
  std::string name;
  double arrival_s = 0;
  int devices = 1;
  double runtime_s = 0;  ///< with all its devices
  std::string model;
};

/// Columns `job,arrival_s,gpus,runtime_s[,model]`. `text` is the content of `file`.
Result<std::vector<TrainingJob>> read_training_jobs(std::string_view text, const std::string& file);

}  // namespace berth::traces
