#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "platform/http/client.h"

namespace berth::platform {

/// `http://host:port/path` or the same with https, taken apart.
struct HttpUrl {
  HttpEndpoint endpoint;
  std::string authority;  ///< as in the URL, for the Host field
  std::string path;       ///< without a `/` at the end; empty or `/...`
};

/// Refuses other schemes, user names, and what does not belong into a URL.
Result<HttpUrl> parse_http_url(std::string_view url);

}  // namespace berth::platform
