#pragma once

#include <string_view>

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::objects {

/// Reads a body of `application/vnd.kubernetes.protobuf` as the document that the same client would
/// have sent as JSON. The kind is the one that the envelope names.
///
/// On the wire a Go field that is no pointer is there even when it is empty, and nothing tells it
/// from one that was set to its zero value. An empty string is taken as not set; a zero number or
/// `false` as set only where the schema has a default that it would override, or in a grace period.
Result<Json> decode_protobuf(const Registry& registry, std::string_view body);

}  // namespace berth::objects
