#pragma once

#include <string>
#include <string_view>

#include "objects/json.h"

namespace berth::objects {

/// What clients ask `/openapi/v2` for when they want it as protobuf. kubectl reads no other form.
inline constexpr std::string_view kOpenApiV2Protobuf =
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What it is answered as: `@` may not stand in a media type, and clients that parse it fail.
inline constexpr std::string_view kOpenApiV2ProtobufAnswer =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The document of `openapi_v2` as a message `openapi.v2.Document` (gnostic's OpenAPIv2.proto):
/// everything that `openapi_v2` writes.
std::string openapi_v2_protobuf(const Json& document);

}  // namespace berth::objects
