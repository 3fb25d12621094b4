#pragma once

#include <string>
#include <string_view>

namespace berth::node {

/// `sha256:` and 64 hexadecimal digits, as images are named by content.
std::string sha256_digest(std::string_view text);

}  // namespace berth::node
