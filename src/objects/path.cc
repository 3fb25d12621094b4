#include "objects/path.h"

#include <array>
#include <charconv>

namespace berth::objects {

void append_key(std::string& path, std::string_view key) {
  // A dot or a slash in a key would read as a step.
  if (key.find_first_of("./[] ") != std::string_view::npos) {
    path.append("[").append(key).append("]");
    return;
  }
  if (!path.empty()) path += '.';
  path += key;
}

void append_index(std::string& path, size_t index) {
  std::array<char, 24> digits;
  const auto [end, status] = std::to_chars(digits.data(), digits.data() + digits.size(), index);
  path += '[';
  path.append(digits.data(), end);
  path += ']';
}

std::string child(std::string_view path, std::string_view key) {
  std::string out(path);
  append_key(out, key);
  return out;
}

std::string child(std::string_view path, size_t index) {
  std::string out(path);
  append_index(out, index);
  return out;
}

bool is_under(std::string_view path, std::string_view parent) {
  return path.starts_with(parent) && (parent.empty() || path.size() == parent.size() ||
                                      path[parent.size()] == '.' || path[parent.size()] == '[');
}

}  // namespace berth::objects
