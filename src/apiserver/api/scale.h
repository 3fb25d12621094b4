#pragma once

#include "apiserver/api/request.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::apiserver {

/// An object of a kind that can be scaled, as `autoscaling/v1` Scale.
Json scale_of(const objects::Kind& kind, const Json& object);

/// The object with the number of replicas that `scale` asks for.
Answer<Json> with_scale(const Subject& subject, const Json& object, const Json& scale);

}  // namespace berth::apiserver
