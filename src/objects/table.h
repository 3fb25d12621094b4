#pragma once

#include <string_view>
#include <vector>

#include "base/time.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::objects {

/// What a row carries beside its cells (the `includeObject` parameter).
enum class IncludeObject { kMetadata, kObject, kNone };

/// A `meta.k8s.io/v1` Table of objects of one kind. Ages are as of `now`. `metadata` is the list's,
/// or an empty object.
Json make_table(const Kind& kind, const std::vector<SharedJson>& objects, Json metadata, Time now,
                IncludeObject include = IncludeObject::kMetadata, bool with_columns = true);

/// One row of it, as watch events carry.
Json make_table_row(const Kind& kind, const Json& object, Time now, IncludeObject include);

}  // namespace berth::objects
