#include "apiserver/http/api_path.h"

#include "base/text.h"
#include "platform/http/message.h"

namespace berth::apiserver {

std::optional<Address> Address::parse(std::string_view target) {
  Address address;
  const size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  for (const std::string_view segment : split(path, '/')) {
    if (segment.empty()) continue;
    auto decoded = platform::percent_decode(segment, false);
    if (!decoded || decoded->find('\0') != std::string::npos) return std::nullopt;
    address.path += '/' + *decoded;
    address.segments.push_back(*std::move(decoded));
  }
  if (address.path.empty()) address.path = "/";
  if (question == std::string_view::npos) return address;
  for (const std::string_view pair : split(target.substr(question + 1), '&')) {
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    auto key = platform::percent_decode(pair.substr(0, equals), true);
    auto value = platform::percent_decode(
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!key || !value) return std::nullopt;
    address.query[*key] = *std::move(value);
  }
  return address;
}

std::string_view Address::get(std::string_view key) const {
  const auto found = query.find(key);
  return found == query.end() ? std::string_view() : std::string_view(found->second);
}

bool Address::flag(std::string_view key) const {
  const auto found = query.find(key);
  if (found == query.end()) return false;
  return found->second.empty() || found->second == "true" || found->second == "1";
}

std::optional<ResourcePath> ResourcePath::parse(const std::vector<std::string>& segments) {
  ResourcePath path;
  size_t at = 0;
  if (segments.size() >= 2 && segments[0] == "api") {
    path.version = segments[1];
    at = 2;
  } else if (segments.size() >= 3 && segments[0] == "apis") {
    path.group = segments[1];
    path.version = segments[2];
    at = 3;
  } else {
    return std::nullopt;
  }
  // `namespaces/{ns}/{resource}` is about something in it; `namespaces/{ns}` and its `status` and
  // `finalize` are about the namespace.
  if (segments.size() >= at + 3 && segments[at] == "namespaces" && segments[at + 2] != "status" &&
      segments[at + 2] != "finalize") {
    path.ns = segments[at + 1];
    at += 2;
  }
  const size_t left = segments.size() - at;
  if (left > 3) return std::nullopt;
  if (left > 0) path.resource = segments[at];
  if (left > 1) path.name = segments[at + 1];
  if (left > 2) path.subresource = segments[at + 2];
  return path;
}

}  // namespace berth::apiserver
