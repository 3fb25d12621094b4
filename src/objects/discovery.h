#pragma once

#include <string_view>

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::objects {

/// `/api`: APIVersions. `address` is the server's own, "127.0.0.1:6443".
Json api_versions(std::string_view address);
/// `/apis`: APIGroupList.
Json api_group_list(const Registry& registry);
/// `/apis/{group}`: APIGroup; fails when there is no such group.
Result<Json> api_group(const Registry& registry, std::string_view group);
/// `/api/v1`, `/apis/{group}/{version}`: APIResourceList.
Result<Json> api_resource_list(const Registry& registry, std::string_view group,
                               std::string_view version);
/// `/api` (with `core`) or `/apis`, aggregated: apidiscovery.k8s.io/v2 APIGroupDiscoveryList.
Json api_group_discovery_list(const Registry& registry, bool core);

}  // namespace berth::objects
