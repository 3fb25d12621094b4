#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace berth::node {

/// The number after `key ` at the start of a line, as in memory.stat and cpu.stat.
std::optional<int64_t> flat_keyed(std::string_view text, std::string_view key);

}  // namespace berth::node
