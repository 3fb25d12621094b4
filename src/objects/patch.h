#pragma once

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::objects {

/// RFC 6902. All operations or none: on an error `object` is as before.
Result<> apply_json_patch(Json& object, const Json& patch);

/// RFC 7386.
void apply_merge_patch(Json& object, const Json& patch);

/// Kubernetes' strategic merge patch: lists are merged by the schema's merge keys; `$patch`,
/// `$retainKeys`, `$setElementOrder/...` and `$deleteFromPrimitiveList/...` are obeyed. All or
/// nothing, as above.
Result<> apply_strategic_merge_patch(const Kind& kind, Json& object, const Json& patch);

/// The merge patch (RFC 7386) that makes `to` from `from`.
Json merge_patch_between(const Json& from, const Json& to);

}  // namespace berth::objects
