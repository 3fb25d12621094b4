#pragma once

#include "objects/json.h"
#include "objects/schema.h"

namespace berth::objects {

/// Fills in what the schema and the kind's own rules give a field that is not set, as
/// kube-apiserver does. Running it again changes nothing.
void apply_defaults(const Kind& kind, Json& object);

/// Removes fields that the schema does not know (except where unknown ones are preserved) and
/// nulls, and brings quantities and times to their canonical spelling.
void prune(const Kind& kind, Json& object);

}  // namespace berth::objects
