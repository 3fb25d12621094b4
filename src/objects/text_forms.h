#pragma once

#include <string>
#include <string_view>

namespace berth::objects {

/// Whether an image reference means the tag `latest`, said or implied: `busybox`, `busybox:latest`,
/// but not `busybox:1.36` nor one with a digest.
bool has_latest_tag(std::string_view image);

std::string base64(std::string_view bytes);
/// Whether a text is base64 with padding, as JSON carries bytes; line breaks are allowed.
bool is_base64(std::string_view text);

}  // namespace berth::objects
