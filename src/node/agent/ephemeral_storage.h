#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "node/pod/pod_paths.h"
#include "node/pod/pod_spec.h"

namespace berth::node {

/// What of a pod's use of the disk is limited.
struct StorageLimits {
  std::string pod_uid;
  PodPaths paths;
  std::string logs;
  std::map<std::string, int64_t> empty_dirs;  ///< bytes by volume; 0: counted, not limited
  std::map<std::string, int64_t> containers;  ///< bytes by container, likewise
  int64_t pod_bytes = 0;                      ///< 0: not limited
};

/// Nothing when the pod limits nothing.
std::optional<StorageLimits> storage_limits(const PodSpec& pod, const PodPaths& paths,
                                            const std::string& logs);

/// Measures, which may take long: the message to evict the pod with, when it is over a limit.
std::optional<std::string> over_storage_limit(const StorageLimits& limits);

}  // namespace berth::node
