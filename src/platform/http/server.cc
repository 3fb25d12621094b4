#include "platform/http/server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/http/exchange.h"
#include "platform/http/streams.h"

namespace berth::platform {
namespace {

std::chrono::nanoseconds to_chrono(Duration duration) {
  return std::chrono::nanoseconds(duration.ns);
}

/// What `stop` closes: one entry for each open connection.
class Connections {
 public:
  using Close = std::function<void()>;

  /// Null when there are too many, or the server stops.
  std::shared_ptr<void> add(Close close, size_t limit) {
    const std::lock_guard lock(mutex_);
    if (stopping_ || open_.size() >= limit) return nullptr;
    auto entry = std::make_shared<Close>(std::move(close));
    open_.insert(entry.get());
    return {entry.get(), [this, entry](void*) {
              const std::lock_guard guard(mutex_);
              open_.erase(entry.get());
            }};
  }

  void close_all() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Close* close : open_) (*close)();
  }

 private:
  std::mutex mutex_;
  std::set<const Close*> open_;
  bool stopping_ = false;
};

HttpRequest to_request(http::request<http::string_body>&& message) {
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    request.headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  request.body = std::move(message.body());
  return request;
}

http::response<http::string_body> to_message(HttpResponse&& response, bool keep_alive) {
  http::response<http::string_body> message{static_cast<http::status>(response.status), 11};
  for (const auto& [name, value] : response.headers.entries()) message.insert(name, value);
  message.body() = std::move(response.body);
  message.keep_alive(keep_alive);
  message.prepare_payload();
  return message;
}

int status_of(const ErrorCodeB& error) {
  if (error == http::error::body_limit) return 413;
  if (error == http::error::header_limit) return 431;
  if (error == beast::error::timeout) return 408;
  return 400;
}

/// One connection, on a strand of its own. `Stream` is PlainStream or TlsStream.
template <class Stream>
class Connection : public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Stream stream, const HttpServerOptions& options, const HttpServer::Handler& handler,
             std::optional<PeerCredentials> peer)
      : stream_(std::move(stream)), options_(options), handler_(handler), peer_(peer) {}

  Stream& stream() { return stream_; }

  void close() {
    ErrorCodeB ignored;
    if (exchange_) {
      exchange_->close();
      exchange_->changed().cancel();
    }
    beast::get_lowest_layer(stream_).socket().close(ignored);
  }

  asio::awaitable<void> run() {
    const auto self = this->shared_from_this();
    auto& lowest = beast::get_lowest_layer(stream_);
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      lowest.expires_after(to_chrono(options_.header_timeout));
      auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kAwait);
      if (error) co_return;
    }
    bool first = true;
    for (;;) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(static_cast<uint32_t>(options_.max_header_bytes));
      parser.body_limit(options_.max_body_bytes);
      if (!first && buffer_.size() == 0 && !co_await next_request()) break;
      first = false;
      lowest.expires_after(to_chrono(options_.header_timeout));
      auto [header_error, header_size] =
          co_await http::async_read_header(stream_, buffer_, parser, kAwait);
      if (header_error) {
        co_await refuse(header_error);
        break;
      }
      if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
        http::response<http::empty_body> go_on{http::status::continue_, 11};
        auto [error, size] = co_await http::async_write(stream_, go_on, kAwait);
        if (error) break;
      }
      lowest.expires_after(to_chrono(options_.body_timeout));
      auto [error, size] = co_await http::async_read(stream_, buffer_, parser, kAwait);
      if (error) {
        co_await refuse(error);
        break;
      }
      if (!co_await answer(parser.release())) break;
    }
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      if (!reading_ && lowest.socket().is_open()) {
        lowest.expires_after(std::chrono::seconds(2));
        co_await stream_.async_shutdown(kAwait);
      }
    }
    co_await part();
  }

 private:
  /// Waits between two requests, longer than for the rest of one.
  asio::awaitable<bool> next_request() {
    beast::get_lowest_layer(stream_).expires_after(to_chrono(options_.idle_timeout));
    auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4096), kAwait);
    buffer_.commit(size);
    co_return !error;
  }

  /// Says what was wrong with a request that could not be read, where the client can still hear it.
  asio::awaitable<void> refuse(const ErrorCodeB& error) {
    const bool bad_request = error.category() == http::make_error_code(http::error{}).category() &&
                             error != http::error::end_of_stream &&
                             error != http::error::partial_message;
    if (!bad_request && error != beast::error::timeout) co_return;
    HttpResponse response;
    response.status = status_of(error);
    response.headers.add("Content-Type", "text/plain; charset=utf-8");
    response.body = "the request cannot be read: " + error.message() + "\n";
    auto message = to_message(std::move(response), false);
    beast::get_lowest_layer(stream_).expires_after(std::chrono::seconds(2));
    co_await http::async_write(stream_, message, kAwait);
  }

  /// True: the connection can take another request.
  asio::awaitable<bool> answer(http::request<http::string_body> message) {
    const bool keep_alive = message.keep_alive();
    const bool head_only = message.method() == http::verb::head;
    HttpRequest request = to_request(std::move(message));
    request.peer = peer_;
    exchange_ = std::make_shared<ExchangeState>(stream_.get_executor(), std::move(request));
    const auto exchange = exchange_;
    handler_(std::make_shared<ExchangeHandle>(exchange));

    auto& lowest = beast::get_lowest_layer(stream_);
    ExchangeState::Step step = exchange->take();
    while (step.mode == ExchangeState::Mode::kWaiting && !step.aborted) {
      if (!lowest.socket().is_open()) co_return false;
      co_await exchange->changed().async_wait(kAwait);
      step = exchange->take();
    }
    bool again = false;
    if (step.mode == ExchangeState::Mode::kWhole) {
      auto response = to_message(exchange->take_response(), keep_alive);
      if (head_only) response.body().clear();
      lowest.expires_after(to_chrono(options_.write_timeout));
      auto [error, size] = co_await http::async_write(stream_, response, kAwait);
      again = !error && keep_alive;
    } else if (step.mode == ExchangeState::Mode::kParts) {
      co_await answer_in_parts(exchange, std::move(step));
    }
    exchange->close();
    exchange_.reset();
    co_return again;
  }

  asio::awaitable<void> answer_in_parts(std::shared_ptr<ExchangeState> exchange,
                                        ExchangeState::Step step) {
    auto& lowest = beast::get_lowest_layer(stream_);
    HttpResponse head = exchange->take_response();
    http::response<http::empty_body> message{static_cast<http::status>(head.status), 11};
    for (const auto& [name, value] : head.headers.entries()) message.insert(name, value);
    message.chunked(true);
    message.keep_alive(false);
    http::response_serializer<http::empty_body> serializer(message);
    lowest.expires_after(to_chrono(options_.write_timeout));
    auto [head_error, head_size] = co_await http::async_write_header(stream_, serializer, kAwait);
    if (head_error) co_return;

    lowest.expires_never();
    asio::co_spawn(stream_.get_executor(), notice_departure(exchange), asio::detached);
    // What came while the head was sent woke nobody.
    if (step.bytes.empty()) step = exchange->take();
    for (;;) {
      if (step.aborted) {
        close();
        co_return;
      }
      if (!step.bytes.empty()) {
        lowest.expires_after(to_chrono(options_.write_timeout));
        auto [error, size] =
            co_await asio::async_write(stream_, http::make_chunk(asio::buffer(step.bytes)), kAwait);
        if (error) co_return;
        exchange->sent();
      } else if (step.finished) {
        lowest.expires_after(std::chrono::seconds(5));
        const auto last = http::make_chunk_last();
        co_await asio::async_write(stream_, last, kAwait);
        co_return;
      } else {
        if (!lowest.socket().is_open()) co_return;
        co_await exchange->changed().async_wait(kAwait);
      }
      step = exchange->take();
    }
  }

  /// A client that waits for more sends nothing: what can be read then is that it left.
  asio::awaitable<void> notice_departure(std::shared_ptr<ExchangeState> exchange) {
    const auto self = this->shared_from_this();
    reading_ = true;
    std::string ignored(256, '\0');
    for (;;) {
      // Here and not before: a limit for writing may have been set since this was spawned.
      beast::get_lowest_layer(stream_).expires_never();
      auto [error, size] = co_await stream_.async_read_some(asio::buffer(ignored), kAwait);
      if (error) break;
    }
    reading_ = false;
    exchange->close();
    ErrorCodeB code;
    beast::get_lowest_layer(stream_).socket().close(code);
    exchange->changed().cancel();
  }

  /// Lets the client read to the end before the socket goes: closing with unread bytes would reset
  /// it.
  asio::awaitable<void> part() {
    auto& lowest = beast::get_lowest_layer(stream_);
    ErrorCodeB ignored;
    if (!lowest.socket().is_open()) co_return;
    lowest.socket().shutdown(asio::socket_base::shutdown_send, ignored);
    if (reading_) {
      asio::steady_timer limit(stream_.get_executor(), std::chrono::seconds(2));
      while (reading_ && limit.expiry() > std::chrono::steady_clock::now()) {
        asio::steady_timer moment(stream_.get_executor(), std::chrono::milliseconds(20));
        co_await moment.async_wait(kAwait);
      }
    }
    lowest.socket().close(ignored);
  }

  Stream stream_;
  const HttpServerOptions& options_;
  const HttpServer::Handler& handler_;
  const std::optional<PeerCredentials> peer_;
  beast::flat_buffer buffer_;
  std::shared_ptr<ExchangeState> exchange_;
  bool reading_ = false;
};

class BeastServer final : public HttpServer {
 public:
  BeastServer(HttpServerOptions options, Handler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {}
  ~BeastServer() override { stop(); }

  Result<> listen(TcpListener listener) {
    if (!listener.socket.valid() && !options_.address.empty()) {
      BERTH_TRY(listener, TcpListener::open(options_.address, options_.port));
    }
    try {
      if (options_.tls) {
        tls_.use_certificate_chain_file(options_.tls->certificate.string());
        tls_.use_private_key_file(options_.tls->key.string(), asio::ssl::context::pem);
        SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_2_VERSION);
      }
      if (listener.socket.valid()) {
        port_ = listener.port;
        tcp_.assign(listener.v6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(),
                    listener.socket.release());
        asio::co_spawn(tcp_.get_executor(), accept_tcp(), asio::detached);
      }
      if (!options_.local_socket.empty()) {
        const std::string path = options_.local_socket.string();
        ::unlink(path.c_str());  // of a server that was killed; the data folder's lock guards it
        local_.open();
        local_.bind(asio::local::stream_protocol::endpoint(path));
        ::chmod(path.c_str(), 0666);
        local_.listen();
        asio::co_spawn(local_.get_executor(), accept_local(), asio::detached);
      }
    } catch (const std::exception& error) {
      return fail(ErrorCode::kUnavailable, std::string("cannot serve: ") + error.what(),
                  options_.local_socket.string());
    }
    for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { io_.run(); });
    return {};
  }

  uint16_t port() const override { return port_; }

  void stop() override {
    if (stopped_.exchange(true)) return;
    asio::post(tcp_.get_executor(), [this] {
      ErrorCodeB ignored;
      tcp_.close(ignored);
    });
    asio::post(local_.get_executor(), [this] {
      ErrorCodeB ignored;
      local_.close(ignored);
    });
    connections_.close_all();
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
    if (!options_.local_socket.empty()) ::unlink(options_.local_socket.c_str());
  }

 private:
  template <class Stream>
  void serve(Stream stream, std::optional<PeerCredentials> peer) {
    auto connection =
        std::make_shared<Connection<Stream>>(std::move(stream), options_, handler_, peer);
    const auto strand = connection->stream().get_executor();
    const std::weak_ptr<Connection<Stream>> weak = connection;
    auto open = connections_.add(
        [weak, strand] {
          asio::post(strand, [weak] {
            if (const auto still = weak.lock()) still->close();
          });
        },
        options_.max_connections);
    if (!open) return;
    asio::co_spawn(strand, connection->run(),
                   [connection, open](const std::exception_ptr&) { connection->close(); });
  }

  asio::awaitable<void> accept_tcp() {
    for (;;) {
      auto [error, socket] = co_await tcp_.async_accept(asio::make_strand(io_), kAwait);
      if (!tcp_.is_open()) co_return;
      if (error) {
        co_await breathe();
        continue;
      }
      ErrorCodeB ignored;
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      PlainStream stream(std::move(socket));
      if (options_.tls) {
        serve(TlsStream(std::move(stream), tls_), std::nullopt);
      } else {
        serve(std::move(stream), std::nullopt);
      }
    }
  }

  asio::awaitable<void> accept_local() {
    for (;;) {
      auto [error, socket] = co_await local_.async_accept(asio::make_strand(io_), kAwait);
      if (!local_.is_open()) co_return;
      if (error) {
        co_await breathe();
        continue;
      }
      ucred credentials{};
      socklen_t size = sizeof credentials;
      if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        continue;
      }
      serve(PlainStream(std::move(socket)),
            PeerCredentials{credentials.uid, credentials.gid, credentials.pid});
    }
  }

  /// After a failed accept (no file descriptors left, for one) trying at once would spin.
  asio::awaitable<void> breathe() {
    asio::steady_timer pause(io_, std::chrono::milliseconds(50));
    co_await pause.async_wait(kAwait);
  }

  const HttpServerOptions options_;
  const Handler handler_;
  Connections connections_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  asio::ip::tcp::acceptor tcp_{asio::make_strand(io_)};
  asio::local::stream_protocol::acceptor local_{asio::make_strand(io_)};
  uint16_t port_ = 0;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, Handler handler,
                                                      TcpListener listener) {
  auto server = std::make_unique<BeastServer>(std::move(options), std::move(handler));
  BERTH_CHECK(server->listen(std::move(listener)));
  return server;
}

}  // namespace berth::platform
