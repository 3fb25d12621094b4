#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "node/pod/pod_inputs.h"
#include "node/pod/pod_spec.h"

namespace berth::node {

/// What the downward API may ask of the pod's surroundings.
struct PodSurroundings {
  std::string node_name;
  std::string host_ip;
  std::vector<std::string> pod_ips;
  int64_t node_cpu_milli = 0;  ///< allocatable: what a container without a limit could use
  int64_t node_memory_bytes = 0;
  int64_t node_ephemeral_storage_bytes = 0;
};

using Environment = std::vector<std::pair<std::string, std::string>>;

/// `$(NAME)` for names that are known; others stay as they are; `$$` is a `$`.
std::string expand(std::string_view text, const std::map<std::string, std::string>& known);

/// A `fieldRef`: `metadata.name`, `metadata.labels['x']`, `status.podIP`, ... (`kInvalid` else).
Result<std::string> field_value(const PodSpec& pod, const PodSurroundings& around,
                                std::string_view path);
/// A `resourceFieldRef` of a container, divided (rounded up) by its divisor.
Result<std::string> resource_value(const PodSpec& pod, const ContainerSpec* container,
                                   const PodSurroundings& around, const Json& reference);

/// `envFrom` and `env` of a container, in order; later names win.
Result<Environment> resolve_env(const PodSpec& pod, const ContainerSpec& container,
                                const PodInputs& inputs, const PodSurroundings& around);

/// The final NAME=VALUE list: the image's, the devices', the pod's; later names win.
std::vector<std::string> merge_env(const std::vector<std::string>& image,
                                   const std::vector<std::string>& devices, const Environment& own);

/// The command line: the container's command and args (expanded), else the image's. Empty when
/// there is nothing to run.
std::vector<std::string> resolve_args(const ContainerSpec& container, const ImageConfig& image,
                                      const Environment& env);

}  // namespace berth::node
