#include "node/images/reference.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/text.h"

namespace berth::node {
namespace {

constexpr size_t kLongestTag = 128;
constexpr size_t kLongestReference = 255;

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_alphanumeric(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

/// Lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
bool is_path_component(std::string_view text) {
  if (text.empty() || !is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back()))
    return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_lower_or_digit(text[i]) || text[i] == '-') continue;
    if (text[i] != '.' && text[i] != '_') return false;
    const bool second = text[i - 1] == text[i];
    if (!is_lower_or_digit(text[i - 1]) && !(text[i] == '_' && second && text[i - 2] != '_'))
      return false;
  }
  return true;
}

bool is_registry(std::string_view text) {
  const size_t colon = text.rfind(':');
  std::string_view host = text;
  if (colon != std::string_view::npos && !text.ends_with(']')) {
    host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    if (port.empty() || port.size() > 5 ||
        !std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; }))
      return false;
  }
  if (host.starts_with('[') && host.ends_with(']')) return host.size() > 2;
  return !host.empty() && is_alphanumeric(host.front()) && is_alphanumeric(host.back()) &&
         std::ranges::all_of(host,
                             [](char c) { return is_alphanumeric(c) || c == '.' || c == '-'; });
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kLongestTag &&
         (is_alphanumeric(text.front()) || text.front() == '_') &&
         std::ranges::all_of(
             text, [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  return text.starts_with(kPrefix) && text.size() == kPrefix.size() + 64 &&
         std::ranges::all_of(text.substr(kPrefix.size()), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::unexpected<Error> wrong(std::string_view reference, const std::string& why,
                             const std::string& fix) {
  return fail(ErrorCode::kInvalid,
              fmt::format("`{}` is not an image reference: {}", reference, why), "", fix);
}

}  // namespace

std::string ImageReference::to_string() const {
  return registry + "/" + repository + (tag.empty() ? "" : ":" + tag) +
         (digest.empty() ? "" : "@" + digest);
}

std::string ImageReference::to_pull() const {
  return registry + "/" + repository + (digest.empty() ? ":" + tag : "@" + digest);
}

bool ImageReference::registry_is_loopback() const {
  std::string_view host = registry;
  if (!host.ends_with(']')) host = host.substr(0, host.rfind(':'));
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

Result<ImageReference> parse_image_reference(std::string_view text) {
  const std::string_view whole = text;
  ImageReference reference;
  if (text.empty()) return wrong(whole, "it is empty", "give an image, such as `busybox:1.36`");
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    reference.digest = text.substr(at + 1);
    text = text.substr(0, at);
    if (!is_digest(reference.digest))
      return wrong(whole, "its digest is wrong", "write @sha256: and 64 hexadecimal digits");
  }
  if (const size_t colon = text.rfind(':');
      colon != std::string_view::npos && text.find('/', colon) == std::string_view::npos) {
    reference.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
    if (!is_tag(reference.tag))
      return wrong(whole, fmt::format("`{}` is not a tag", reference.tag),
                   "use letters, digits, `_`, `.` and `-`, at most 128");
  } else if (reference.digest.empty()) {
    reference.tag = "latest";
  }

  const size_t slash = text.find('/');
  const std::string_view first = text.substr(0, slash);
  const bool names_registry = slash != std::string_view::npos &&
                              (first == "localhost" || first.find('.') != std::string_view::npos ||
                               first.find(':') != std::string_view::npos);
  if (names_registry) {
    if (!is_registry(first))
      return wrong(whole, fmt::format("`{}` is not a registry", first),
                   "write host or host:port before the first /");
    reference.registry = first;
    reference.repository = text.substr(slash + 1);
  } else {
    reference.registry = "docker.io";
    reference.repository =
        slash == std::string_view::npos ? "library/" + std::string(text) : std::string(text);
  }
  for (const std::string_view component : split(reference.repository, '/')) {
    if (is_path_component(component)) continue;
    const bool upper = std::ranges::any_of(component, [](char c) { return c >= 'A' && c <= 'Z'; });
    return wrong(whole, fmt::format("`{}` is not a repository name", component),
                 upper ? "use lower-case letters only"
                       : "use lower-case letters and digits, with `.`, `_` or `-` between them");
  }
  if (reference.to_string().size() > kLongestReference)
    return wrong(whole, "it is too long", "use at most 255 characters");
  return reference;
}

}  // namespace berth::node
