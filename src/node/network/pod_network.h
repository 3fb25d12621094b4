#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace berth::node {

/// What a pod asks of the network.
struct PodNetworkRequest {
  std::string pod_uid = {};
  std::string pod_namespace = {};
  std::string pod_name;
  std::string hostname = {};   ///< `spec.hostname`; empty: the pod's name
  std::string subdomain = {};  ///< `spec.subdomain`
  /// The name under /run/netns: `pod_netns_name(pod_uid)`, so that a restart finds it again.
  std::string netns_name = {};
  /// Values of the annotations `kubernetes.io/ingress-bandwidth` and `.../egress-bandwidth`:
  /// quantities in bits per second, empty when unlimited.
  std::string ingress_bandwidth = {};
  std::string egress_bandwidth = {};
  bool host_network = false;
};

/// What the pod got.
struct PodAttachment {
  std::vector<std::string> ips;  ///< the first one is the pod's IP; with host network the host's
  std::string netns_path;        ///< /run/netns/...; empty with host network
};

/// The name of the network namespace of a pod.
inline std::string pod_netns_name(const std::string& pod_uid) {
  return "berth-" + pod_uid;
}

/// Gives pods their network namespace and address. Calls block (they run CNI plugins) and may come
/// from several threads at once, for different pods. Every call may be repeated.
class PodNetwork {
 public:
  virtual ~PodNetwork() = default;

  /// Makes the namespace and attaches it, or returns what is there already, also after a restart
  /// of Berth. When it fails, nothing is left behind.
  virtual Result<PodAttachment> ensure_pod_network(const PodNetworkRequest& request) = 0;
  /// When it returns, Services send the pod no new connection; those that exist go on. Before a pod
  /// is told to stop. Until `release`. A network without Services has nothing to do.
  virtual Result<> drain(const std::string& /*pod_uid*/) { return {}; }
  /// Detaches and removes the namespace; success when there is nothing (left).
  virtual Result<> release(const std::string& pod_uid) = 0;
  /// Uids of the pods that hold a namespace or an address, so that what a crash left is released.
  virtual Result<std::vector<std::string>> list() = 0;
};

}  // namespace berth::node
