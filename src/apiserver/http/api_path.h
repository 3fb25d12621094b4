#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::apiserver {

/// The path and the query of a request, decoded.
struct Address {
  std::string path;
  std::vector<std::string> segments;
  std::map<std::string, std::string, std::less<>> query;  ///< of a repeated key, the last

  /// Nothing where an escape is wrong.
  static std::optional<Address> parse(std::string_view target);

  std::string_view get(std::string_view key) const;
  /// `true`, `1`, or the key without a value.
  bool flag(std::string_view key) const;
};

/// `/api/v1/...` or `/apis/{group}/{version}/...`: what a request's path names. `resource` is empty
/// for the version itself.
struct ResourcePath {
  std::string group;
  std::string version;
  std::string ns;
  std::string resource;
  std::string name;
  std::string subresource;

  static std::optional<ResourcePath> parse(const std::vector<std::string>& segments);
};

}  // namespace berth::apiserver
