#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/model/event.h"
#include "objects/json.h"

namespace berth::bridge {

/// What a pod's translation needs of other objects. All are called while translating.
struct PodContext {
  /// Is this pod one that Berth places? (By its `spec.schedulerName`.)
  std::function<bool(const Json& pod)> managed;
  /// The priority of a class that the pod names without a value; no class: the default.
  std::function<int32_t(std::string_view priority_class)> priority;
  /// Where a pod without a queue of its own goes.
  std::function<std::string(std::string_view ns)> queue_of_namespace;
  /// Resources whose devices some node names; further ones count as accelerators by their name.
  const std::set<std::string, std::less<>>* device_resources = nullptr;
};

/// What a pod is to the core.
struct PodTask {
  /// Nothing: it holds no place and wants none (it ended, or goes away unplaced).
  std::optional<core::TaskUpsert> task;
  /// Not empty: it cannot be scheduled as it is written, and why. (It has no task then.)
  std::string refused;
};

PodTask read_pod(const Json& pod, const PodContext& context);

/// `namespace/name`.
std::string task_name(const Json& pod);
/// The PodGroup that the pod names, or empty.
std::string_view pod_group_of(const Json& pod);
/// The core's name of a PodGroup: `namespace/group/name`.
std::string gang_name(std::string_view ns, std::string_view group);
/// The queue that an object's labels name, or empty.
std::string_view queue_label(const Json& object);
/// Does a resource of this name count as an accelerator? (`nvidia.com/gpu`, `xilinx.com/fpga-…`.)
bool is_accelerator(std::string_view resource);

}  // namespace berth::bridge
