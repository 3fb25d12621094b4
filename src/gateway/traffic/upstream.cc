#include "gateway/traffic/upstream.h"

#include <utility>

#include "platform/http/url.h"

namespace berth::gateway {

uint64_t Upstream::identity() const {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : address() + path)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

Result<Upstream> parse_upstream(std::string_view url) {
  BERTH_TRY(platform::HttpUrl parsed, platform::parse_http_url(url));
  if (parsed.path.ends_with("/v1")) parsed.path.resize(parsed.path.size() - 3);
  return Upstream{.url = std::string(url),
                  .host = std::move(parsed.endpoint.host),
                  .port = parsed.endpoint.port,
                  .tls = parsed.endpoint.tls,
                  .path = std::move(parsed.path),
                  .authority = std::move(parsed.authority)};
}

}  // namespace berth::gateway
