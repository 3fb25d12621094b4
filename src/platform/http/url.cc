#include "platform/http/url.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace berth::platform {

Result<HttpUrl> parse_http_url(std::string_view url) {
  const auto bad = [url](std::string what) {
    return fail(ErrorCode::kInvalid, std::move(what), std::string(url),
                "write http://HOST:PORT or https://HOST:PORT");
  };
  HttpUrl parsed;
  HttpEndpoint& endpoint = parsed.endpoint;
  std::string_view rest = url;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
    endpoint.tls = true;
  } else {
    return bad("it is no http(s) address");
  }
  endpoint.port = endpoint.tls ? 443 : 80;
  const size_t slash = rest.find('/');
  const std::string_view authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash);
  while (path.ends_with('/')) path.remove_suffix(1);
  if (std::ranges::any_of(url, [](unsigned char c) { return c <= ' ' || c == 0x7f; }) ||
      authority.find('@') != std::string_view::npos)
    return bad("it has characters that do not belong there");
  parsed.path = path;
  parsed.authority = authority;

  size_t colon = authority.rfind(':');
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return bad("an IPv6 address without its `]`");
    endpoint.host = authority.substr(1, end - 1);
    colon = end + 1 < authority.size() ? end + 1 : std::string_view::npos;
  } else {
    endpoint.host = authority.substr(0, colon);
  }
  if (endpoint.host.empty()) return bad("no host");
  if (colon != std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
    if (authority[colon] != ':' || error != std::errc() || end != digits.data() + digits.size() ||
        endpoint.port == 0)
      return bad(fmt::format("`{}` is no port", digits));
  }
  return parsed;
}

}  // namespace berth::platform
