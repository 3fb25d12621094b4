#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace berth::platform {

/// From the kernel's generator; aborts when there is none, as nothing secure can be done then.
std::string random_bytes(size_t count);
/// A random UUID (version 4), as object uids are.
std::string random_uuid();
std::string sha256_hex(std::string_view bytes);
std::string base64(std::string_view bytes);
Result<std::string> from_base64(std::string_view text);
/// URL-safe and without padding, for tokens.
std::string base64_url(std::string_view bytes);
/// Takes the same time wherever the two differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace berth::platform
