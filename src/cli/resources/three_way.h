#pragma once

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::cli {

inline constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

/// What an object becomes when `wanted` is applied over `live`: fields that `last` (what was
/// applied before; null when nothing was) had and `wanted` lacks go; what somebody else set stays;
/// lists are merged by their keys, as kubectl's client-side apply does.
Result<Json> three_way(const objects::Kind& kind, const Json& last, const Json& live,
                       const Json& wanted);

/// Puts `wanted`, as it is, into its annotation `kLastApplied`: kubectl and Berth can go on from
/// what either applied.
void set_last_applied(Json& wanted);
/// What the annotation of a live object says; null where there is none.
Json last_applied(const Json& live);

}  // namespace berth::cli
