#include "node/cgroup/kernel_text.h"

#include <charconv>

#include "base/text.h"

namespace berth::node {

std::optional<int64_t> flat_keyed(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') continue;
    const std::string_view digits = trim(line.substr(key.size()));
    int64_t value = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc())
      return value;
  }
  return std::nullopt;
}

}  // namespace berth::node
