#pragma once

#include <map>
#include <string>

#include "base/error.h"
#include "node/pod/env.h"
#include "node/pod/pod_inputs.h"
#include "node/pod/pod_paths.h"
#include "node/pod/pod_spec.h"

namespace berth::node {

/// Volume name → its folder (or, for hostPath, file) on this machine.
using VolumePaths = std::map<std::string, std::string>;

struct VolumeOptions {
  bool allow_host_path = false;
  /// What the image `host` shows beside the system's own: anybody may mount that, read-only.
  std::vector<std::string> host_dirs = {};
};

/// Makes every volume of the pod, or finds it made: emptyDir (on disk or in memory), hostPath,
/// configMap, secret and projected (in memory where secret), downwardAPI. Blocks. What other kinds
/// there are is an error that names the volume; a missing ConfigMap, Secret or key is `kNotFound`.
Result<VolumePaths> ensure_volumes(const PodSpec& pod, const PodPaths& paths,
                                   const PodInputs& inputs, const PodSurroundings& around,
                                   const VolumeOptions& options);

/// A path inside a volume, made where it is missing, that no symbolic link leads out of: a file
/// `folder/NUMBER` on which it is mounted.
Result<std::string> ensure_sub_path(const std::string& volume, const std::string& sub_path,
                                    const std::string& folder, int number);

/// emptyDir volumes on disk with their sizeLimit in bytes (0: none), for measuring.
std::map<std::string, int64_t> measured_empty_dirs(const PodSpec& pod);

}  // namespace berth::node
