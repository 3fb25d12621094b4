#include "node/agent/ephemeral_storage.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/quantity.h"
#include "node/pod/volumes.h"
#include "node/usage.h"

namespace berth::node {

std::optional<StorageLimits> storage_limits(const PodSpec& pod, const PodPaths& paths,
                                            const std::string& logs) {
  StorageLimits out{pod.uid, paths, logs, measured_empty_dirs(pod), {}, 0};
  bool any = std::ranges::any_of(out.empty_dirs, [](const auto& e) { return e.second > 0; });
  bool all = true;
  for (const ContainerSpec& c : pod.containers) {
    const int64_t limit = c.limits.ephemeral_storage_bytes.value_or(0);
    out.containers[c.name] = limit;
    out.pod_bytes += limit;
    any |= limit > 0;
    all &= limit > 0;
  }
  if (!any) return std::nullopt;
  if (!all) out.pod_bytes = 0;
  return out;
}

std::optional<std::string> over_storage_limit(const StorageLimits& limits) {
  std::optional<std::string> message;
  int64_t total = 0;
  for (const auto& [name, limit] : limits.empty_dirs) {
    const int64_t used = disk_usage(limits.paths.volume(name));
    total += used;
    if (limit > 0 && used > limit)
      message = fmt::format("Usage of EmptyDir volume \"{}\" exceeds the limit \"{}\".", name,
                            Quantity::from_bytes(limit).to_string());
  }
  for (const auto& [name, limit] : limits.containers) {
    const int64_t used =
        disk_usage(limits.paths.container(name)) + disk_usage(limits.logs + "/" + name);
    total += used;
    if (limit > 0 && used > limit)
      message = fmt::format("Container {} exceeded its local ephemeral storage limit \"{}\".", name,
                            Quantity::from_bytes(limit).to_string());
  }
  if (limits.pod_bytes > 0 && total > limits.pod_bytes)
    message =
        fmt::format("Pod ephemeral local storage usage exceeds the total limit of containers {}.",
                    Quantity::from_bytes(limits.pod_bytes).to_string());
  return message;
}

}  // namespace berth::node
