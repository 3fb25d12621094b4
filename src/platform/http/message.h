#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace berth::platform {

/// In the order they came; names compare without case.
class HttpHeaders {
 public:
  using Entry = std::pair<std::string, std::string>;

  void add(std::string name, std::string value) {
    entries_.emplace_back(std::move(name), std::move(value));
  }
  /// The first value, or empty.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

/// Who is at the other end of a local socket, as the kernel says.
struct PeerCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";  ///< path and query, as sent
  HttpHeaders headers;
  std::string body;
  std::optional<PeerCredentials> peer;  ///< set by a server for a local socket
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;  ///< Content-Length, Transfer-Encoding, Connection are the server's
  std::string body;
};

/// `%41` and, in a query, `+`. Nothing where the escapes are wrong.
std::optional<std::string> percent_decode(std::string_view text, bool query);
std::string percent_encode(std::string_view text);

}  // namespace berth::platform
