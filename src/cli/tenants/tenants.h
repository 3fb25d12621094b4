#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "objects/json.h"

namespace berth::cli {

struct QueueOptions {
  std::string name;
  std::string parent;
  std::string guarantee;  ///< `nvidia.com/gpu=2,cpu=8`
  std::string limit;
  std::string reclaim;
  int64_t weight = 0;  ///< 0: not given
};

/// The `spec` that these options say, without what was not given.
Result<Json> queue_spec(const QueueOptions& options);

}  // namespace berth::cli
