#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "platform/http/message.h"

namespace berth::platform {

/// Where a server is.
struct HttpEndpoint {
  std::string host;
  uint16_t port = 80;
  bool tls = false;
  std::filesystem::path local_socket;  ///< instead of host and port, where set

  bool operator==(const HttpEndpoint&) const = default;
};

/// What a client trusts and shows. Files are PEM texts, not paths.
struct HttpClientOptions {
  std::string ca_pem;  ///< empty: the system's authorities
  std::string certificate_pem;
  std::string key_pem;
  bool verify = true;            ///< false: any certificate will do (probes)
  std::string verify_name = {};  ///< the name to expect instead of the host's
  size_t max_body_bytes = size_t{1} << 30;
};

/// An HTTP/1.1 client with keep-alive, on one thread of its own.
///
/// Errors: kUnavailable when the server could not be reached or broke off, kTimeout when it did not
/// answer in time: what became of the request is not known then.
class HttpClient {
 public:
  using OnResponse = std::function<void(Result<HttpResponse>)>;

  /// A running streamed answer. Destroying it ends it: no callback starts afterwards. Does not
  /// outlive the client.
  class Stream {
   public:
    virtual ~Stream() = default;
  };

  struct StreamCallbacks {
    std::function<void(const HttpResponse& head)> on_head;
    std::function<void(std::string_view bytes)> on_bytes;
    /// Last; success when the answer was complete.
    std::function<void(Result<>)> on_end;
  };

  static Result<std::unique_ptr<HttpClient>> create(HttpClientOptions options);
  virtual ~HttpClient() = default;

  /// `done` is called exactly once, on the client's thread, also when the client is destroyed.
  virtual void request(const HttpEndpoint& endpoint, HttpRequest request, Duration timeout,
                       OnResponse done) = 0;

  /// `timeout` is for the head of the answer; the rest may take as long as it does.
  virtual std::unique_ptr<Stream> stream(const HttpEndpoint& endpoint, HttpRequest request,
                                         Duration timeout, StreamCallbacks callbacks) = 0;
};

}  // namespace berth::platform
