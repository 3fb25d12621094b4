#pragma once

#include <string>

#include <fmt/format.h>

namespace berth::node {

/// Where everything of one pod lies below the data folder. Nothing else of a pod is on disk but its
/// network (see PodNetwork); exit codes are with the runtime (see ContainerRuntime).
struct PodPaths {
  std::string root;  ///< DATA/pods/UID

  PodPaths(const std::string& data_dir, const std::string& pod_uid)
      : root(data_dir + "/pods/" + pod_uid) {}

  std::string object() const { return root + "/pod.json"; }
  std::string state() const { return root + "/state.json"; }
  /// Mounted at /etc/hosts in every container: who keeps it current writes it in place, never
  /// renames over it. Not made with host network.
  std::string hosts() const { return root + "/hosts"; }
  std::string resolv_conf() const { return root + "/resolv.conf"; }
  std::string namespaces() const { return root + "/ns"; }
  std::string shared_memory() const { return root + "/shm"; }
  std::string volume(const std::string& name) const { return root + "/volumes/" + name; }
  std::string container(const std::string& name) const { return root + "/containers/" + name; }
  std::string attempt(const std::string& name, int number) const {
    return fmt::format("{}/containers/{}/{}", root, name, number);
  }
};

/// DATA/logs/NAMESPACE_POD_UID, as Kubernetes names it; kept until the pod object is gone.
inline std::string pod_log_folder(const std::string& data_dir, const std::string& ns,
                                  const std::string& pod, const std::string& uid) {
  return fmt::format("{}/logs/{}_{}_{}", data_dir, ns, pod, uid);
}
inline std::string container_log_path(const std::string& pod_folder, const std::string& container,
                                      int attempt) {
  return fmt::format("{}/{}/{}.log", pod_folder, container, attempt);
}

}  // namespace berth::node
