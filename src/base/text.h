#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

/// The candidate closest to `word`, or empty when none is close enough to be what was meant.
/// Case is ignored, and a candidate that starts with `word` counts as close
/// (`meta` for `metadata`).
std::string_view closest(std::string_view word, std::span<const std::string_view> candidates);

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

}  // namespace berth
