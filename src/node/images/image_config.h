#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "node/images/image_store.h"

namespace berth::node {

/// Reads an OCI image configuration (image-spec, config.md). `kUnsupported` when it is for another
/// operating system or another processor than `architecture` (as Go names it: `amd64`).
Result<ImageConfig> parse_image_config(std::string_view text, std::string_view architecture);
/// This machine's processor as Go names it.
std::string host_architecture();

}  // namespace berth::node
