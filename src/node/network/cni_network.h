#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/network/bridge_plan.h"
#include "node/network/cni.h"
#include "node/network/pod_network.h"
#include "node/network/pod_records.h"

namespace berth::node {

struct CniNetworkOptions {
  std::string data_dir = {};  ///< records and address leases, below Berth's own data
  std::vector<std::string> plugin_dirs = {"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"};
  std::string conf_dir = {};  ///< somebody else's network; empty: Berth's own bridge
  std::optional<Subnet> pod_subnet =
      {};  ///< for the own bridge; unset: one that collides with nothing
  /// As the API server gives addresses from.
  Subnet service_subnet = kServiceSubnet;
  /// Berth's data folder: tells its bridge from those of others on this machine.
  std::string owner = {};
  std::string netns_dir = "/run/netns";
};

/// Pod networks by CNI plugins.
///
/// Crash safety: a pod's record is on disk before its namespace is made and until everything of it
/// is gone, so `list` names whatever a crash left, and `release` undoes it.
class CniNetwork final : public PodNetwork {
 public:
  /// Checks the plugins, then makes the bridge, unless the conf dir names another network.
  /// `kUnsupported` with what to install when something is missing.
  static Result<std::unique_ptr<CniNetwork>> open(CniNetworkOptions options);

  Result<PodAttachment> ensure_pod_network(const PodNetworkRequest& request) override;
  Result<> release(const std::string& pod_uid) override;
  Result<std::vector<std::string>> list() override;

  /// Berth's own bridge and networks. With a conf dir only `services` and the table's name count.
  const BridgePlan& plan() const { return plan_; }
  bool owns_bridge() const { return !external_; }
  /// What was changed on the machine at `open`, for the log: one sentence each.
  const std::vector<std::string>& changes() const { return changes_; }

  /// Removes the bridge and puts back the kernel settings, if no pod is left (else does nothing).
  /// Answers whether it was done. No other call may follow.
  Result<bool> cleanup();

 private:
  CniNetwork(CniNetworkOptions options);

  Result<> load_plan();
  Result<> save_plan() const;
  Result<> set_up_bridge();
  Result<PodAttachment> attach(const PodNetworkRequest& request);
  Result<> undo(const PodRecord& record);
  std::string plan_path() const { return options_.data_dir + "/network.json"; }
  std::string ipam_dir() const { return options_.data_dir + "/ipam"; }
  std::vector<std::string> leases_of(const std::string& pod_uid) const;

  const CniNetworkOptions options_;
  const Cni cni_;
  const PodRecords records_;
  std::optional<CniConfig> external_;
  BridgePlan plan_;
  std::string host_ip_;
  std::vector<std::string> changes_;
};

}  // namespace berth::node
