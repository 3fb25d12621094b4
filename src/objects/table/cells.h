#pragma once

#include <string_view>

#include "base/time.h"
#include "objects/json.h"

namespace berth::objects {

/// A cell that is computed from several fields, named in the schema text as `hook:NAME`. To add
/// one: a function of the object, and a row in the table of its file.
using CellHook = Json (*)(const Json& object, Time now);

/// Null when there is none of that name.
CellHook find_cell_hook(std::string_view name);

CellHook find_pod_cell(std::string_view name);
CellHook find_workload_cell(std::string_view name);
CellHook find_cluster_cell(std::string_view name);

/// "5m12s" since a time, or "<unknown>".
Json age_cell(std::string_view time, Time now);
/// The text, or "<none>" where it is empty.
Json or_none(std::string_view text);

}  // namespace berth::objects
