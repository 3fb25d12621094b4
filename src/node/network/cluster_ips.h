#pragma once

#include <span>
#include <string>
#include <vector>

#include "node/network/subnet.h"
#include "objects/json.h"

namespace berth::node {

/// The merge patch that gives a Service the addresses it asks for.
struct ServicePatch {
  std::string ns;
  std::string name;
  Json patch;  ///< with the resource version that it was made for
};

/// Cluster addresses from `subnet`, and node ports from 30000 to 32767, for the Services that lack
/// them. Deterministic: the address is the first free one after a place given by the name. A
/// Service is left as it is when nothing is free.
std::vector<ServicePatch> allocate_service_addresses(std::span<const SharedJson> services,
                                                     const Subnet& subnet);

}  // namespace berth::node
