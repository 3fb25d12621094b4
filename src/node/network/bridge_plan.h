#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "node/network/cni.h"
#include "node/network/subnet.h"

namespace berth::node {

/// What Berth decided once for its own network on this machine, kept beside its data so that a
/// restart finds the same. The name of the bridge is also that of the nftables table.
struct BridgePlan {
  std::string bridge;
  Subnet pods;
  Subnet services;  ///< what the API server gives Services their addresses from
  /// Is `services` this machine's alone? Else it has a route to other machines there: only the
  /// addresses that Services have are taken from it.
  bool reserves_services = true;
  /// Kernel settings that were changed, with what they held before.
  std::map<std::string, std::string> changed_sysctls;

  uint32_t gateway() const { return pods.address + 1; }
};

std::string format_bridge_plan(const BridgePlan& plan);
Result<BridgePlan> parse_bridge_plan(std::string_view text, const std::string& where);

/// A network for pods that collides with nothing in `taken`, or the given one. Fails when it
/// overlaps `services` or leaves too little room.
Result<BridgePlan> plan_bridge(std::string bridge, std::optional<Subnet> pods,
                               const Subnet& services, const std::vector<Subnet>& taken);

/// Berth's own configuration list: a bridge with addresses by host-local and, where the pod asks
/// for a limit, bandwidth. The loopback interface is already up, and masquerading is one rule in
/// Berth's table, so that neither costs the start of a program a pod.
CniConfig bridge_cni_config(const BridgePlan& plan, const std::string& ipam_dir, bool bandwidth);

}  // namespace berth::node
