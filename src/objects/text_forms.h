#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace berth::objects {

/// Whether an image reference means the tag `latest`, said or implied: `busybox`, `busybox:latest`,
/// but not `busybox:1.36` nor one with a digest.
bool has_latest_tag(std::string_view image);

bool is_utf8(std::string_view text);
/// The offset of the first byte that is not UTF-8, or that is a control character other than tab
/// and line break; the size of the text when there is none.
size_t first_unreadable(std::string_view text);

std::string base64(std::string_view bytes);
/// Whether a text is base64 with padding, as JSON carries bytes; line breaks are allowed.
bool is_base64(std::string_view text);

}  // namespace berth::objects
