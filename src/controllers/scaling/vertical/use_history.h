#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "core/scaling/advice/right_size.h"

namespace berth::controllers {

/// What one pod used in the last window of measurement.
struct PodUse {
  std::string uid;
  std::map<std::string, core::SizeSample> containers = {};  ///< by name
};

/// What the containers that run used of late.
class UseHistory {
 public:
  /// Further back nothing is known.
  static constexpr Duration kLongest = Duration::hours(1);

  /// Of all pods that run: others are forgotten.
  void add(const std::vector<PodUse>& pods);

  /// Windows that began at `since` or later, in the order of time.
  std::vector<core::SizeSample> of(const std::string& uid, const std::string& container,
                                   Time since) const;

 private:
  using Containers = std::map<std::string, std::vector<core::SizeSample>>;
  std::map<std::string, Containers> pods_;  ///< by uid
};

}  // namespace berth::controllers
