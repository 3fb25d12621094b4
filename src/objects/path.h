#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace berth::objects {

/// Grow a path in the spelling of error messages: "spec.containers[0].image",
/// "metadata.labels[app.kubernetes.io/name]".
void append_key(std::string& path, std::string_view key);
void append_index(std::string& path, size_t index);

std::string child(std::string_view path, std::string_view key);
std::string child(std::string_view path, size_t index);

/// Whether `path` is `parent` or lies below it.
bool is_under(std::string_view path, std::string_view parent);

/// A path that grows and shrinks with a walk: `PathScope scope(path, "spec");`
class PathScope {
 public:
  PathScope(std::string& path, std::string_view key) : path_(path), size_(path.size()) {
    append_key(path, key);
  }
  PathScope(std::string& path, size_t index) : path_(path), size_(path.size()) {
    append_index(path, index);
  }
  ~PathScope() { path_.resize(size_); }
  PathScope(const PathScope&) = delete;
  PathScope& operator=(const PathScope&) = delete;

 private:
  std::string& path_;
  size_t size_;
};

}  // namespace berth::objects
