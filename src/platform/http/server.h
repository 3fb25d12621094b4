#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "platform/http/listener.h"
#include "platform/http/message.h"

namespace berth::platform {

/// One request and the way to answer it, from any thread, once: with `send`, or with `begin`, any
/// number of `write` and `finish`. Dropping it unanswered answers 500.
///
/// An answer in parts is sent chunked and ends its connection, so that no later request can wait
/// behind it.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual const HttpRequest& request() const = 0;

  virtual void send(HttpResponse response) = 0;

  virtual void begin(HttpResponse head) = 0;
  /// Bytes that wait to be sent, these included: when they grow too many, the caller stops until
  /// `on_drain`, or aborts. After the end of the exchange the bytes are dropped.
  virtual size_t write(std::string bytes) = 0;
  virtual void finish() = 0;
  /// Breaks the connection off: the client sees that the answer is not complete.
  virtual void abort() = 0;

  /// Called when nothing waits to be sent any more. On a thread of the server.
  virtual void on_drain(std::function<void()> callback) = 0;
  /// Called once when a part of the answer can no longer be sent: the client went away or the
  /// server stops. Not called after `finish`. On a thread of the server.
  virtual void on_close(std::function<void()> callback) = 0;
};

struct HttpServerOptions {
  std::string address = "127.0.0.1";  ///< empty: no TCP
  uint16_t port = 0;                  ///< 0 picks a free one
  struct Tls {
    std::filesystem::path certificate;
    std::filesystem::path key;
  };
  std::optional<Tls> tls;
  /// A local socket beside it, for every user of this machine to connect to; without TLS.
  std::filesystem::path local_socket;

  int threads = 2;
  size_t max_connections = 4096;
  size_t max_header_bytes = size_t{64} << 10;
  size_t max_body_bytes = size_t{8} << 20;
  Duration header_timeout = Duration::seconds(15);
  Duration body_timeout = Duration::seconds(60);
  Duration idle_timeout = Duration::minutes(3);
  Duration write_timeout = Duration::seconds(60);
};

/// HTTP/1.1 with keep-alive.
class HttpServer {
 public:
  /// Runs on a thread of the server and must return quickly.
  using Handler = std::function<void(std::shared_ptr<HttpExchange>)>;

  /// Listens when it returns. What holds the address and port already is taken over.
  static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, Handler handler,
                                                   TcpListener listener = {});
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
  /// Accepts nothing more, closes what is open, and waits for the server's threads: when it returns
  /// nothing calls the handler or any callback. Not from a thread of the server.
  virtual void stop() = 0;
};

}  // namespace berth::platform
