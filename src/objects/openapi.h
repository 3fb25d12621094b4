#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::objects {

/// `/openapi/v3`: the paths of the documents, each with a hash of its content.
Json openapi_v3_index(const Registry& registry);
/// `/openapi/v3/api/v1`, `/openapi/v3/apis/{group}/{version}`: paths and schemas.
Result<Json> openapi_v3(const Registry& registry, std::string_view group, std::string_view version);
/// `/openapi/v2`, as JSON.
Json openapi_v2(const Registry& registry);

}  // namespace berth::objects
