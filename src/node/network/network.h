#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/api_client.h"
#include "node/network/cni_network.h"
#include "node/network/hosts_file.h"
#include "node/network/planning_lock.h"
#include "node/network/pod_network.h"
#include "node/network/services/service_proxy.h"
#include "platform/loop_thread.h"

namespace berth::node {

struct NetworkOptions {
  std::string data_dir = {};  ///< Berth's data: the network's own is in DATA/network
  std::vector<std::string> cni_plugin_dirs = {"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"};
  std::string cni_conf_dir = {};    ///< empty: Berth's own bridge
  std::string pod_subnet = {};      ///< `10.210.0.0/16`; empty: one that collides with nothing
  std::string service_subnet = {};  ///< empty: as `service_range` says
};

/// The network of this machine: pods' namespaces and addresses (`PodNetwork`), Services, and names.
/// Has a thread of its own for the latter two.
///
/// The hosts file of a pod is DATA/pods/UID/hosts (`PodPaths::hosts`), written before
/// `ensure_pod_network` returns and kept current until `release`.
class Network final : public PodNetwork {
 public:
  /// Fails with what to install, or what is wrong with an option. `client` outlives the network.
  /// `planning`: held since the range of Services was chosen, where that was before.
  static Result<std::unique_ptr<Network>> start(NetworkOptions options, client::ApiClient& client,
                                                PlanningLock planning = {});
  /// Stops following the API. Pods and Services go on as they are.

  Result<PodAttachment> ensure_pod_network(const PodNetworkRequest& request) override;
  Result<> drain(const std::string& pod_uid) override;
  Result<> release(const std::string& pod_uid) override;
  Result<std::vector<std::string>> list() override;

  /// Releases the pods that are not among `known`: what a crash left. Before the first pod starts.
  Result<> sweep(const std::set<std::string>& known);
  /// If no pod is left: stops, and removes the rules and the bridge and puts back kernel settings.
  /// Answers whether it was done. The last call.
  Result<bool> cleanup_all();

  const BridgePlan& plan() const { return cni_->plan(); }
  /// Why pods may not reach Services and other networks, asked now: a sentence each.
  std::vector<std::string> troubles() const;
  /// What was changed on the machine at the start, for the log: one sentence each.
  const std::vector<std::string>& changes() const { return cni_->changes(); }

 private:
  Network(std::string data_dir, std::unique_ptr<CniNetwork> cni);

  void follow(client::ApiClient& client);
  ServiceNetwork service_network() const;
  std::string hosts_path(const std::string& pod_uid) const;

  const std::string data_dir_;
  const std::unique_ptr<CniNetwork> cni_;
  HostsFiles hosts_;
  std::unique_ptr<ServiceProxy> proxy_;  // on the thread
  platform::LoopThread thread_;          ///< last: it ends first
};

}  // namespace berth::node
