#include "platform/http/client.h"

#include <chrono>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <fmt/format.h>

#include "platform/http/streams.h"

namespace berth::platform {
namespace {

constexpr size_t kIdlePerEndpoint = 8;
constexpr std::chrono::seconds kIdleFor{90};

std::unexpected<Error> failure(const ErrorCodeB& error, const HttpEndpoint& endpoint) {
  const std::string where = endpoint.local_socket.empty()
                                ? fmt::format("{}:{}", endpoint.host, endpoint.port)
                                : endpoint.local_socket.string();
  if (error == beast::error::timeout) return fail(ErrorCode::kTimeout, "no answer in time", where);
  return fail(ErrorCode::kUnavailable, error.message(), where);
}

/// One connection of either kind. All on the client's thread.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual asio::awaitable<ErrorCodeB> connect(const HttpEndpoint& endpoint) = 0;
  virtual asio::awaitable<ErrorCodeB> write(http::request<http::string_body>& request) = 0;
  virtual asio::awaitable<ErrorCodeB> read_head(
      http::response_parser<http::buffer_body>& parser) = 0;
  virtual asio::awaitable<ErrorCodeB> read_some(
      http::response_parser<http::buffer_body>& parser) = 0;
  virtual void expire_after(std::chrono::nanoseconds time) = 0;
  virtual void expire_never() = 0;
  virtual void close() = 0;

  std::chrono::steady_clock::time_point idle_since;
};

template <class Stream>
class WireOn final : public Wire {
 public:
  template <class... Arguments>
  explicit WireOn(std::string verify_name, Arguments&&... arguments)
      : stream_(std::forward<Arguments>(arguments)...), verify_name_(std::move(verify_name)) {}

  asio::awaitable<ErrorCodeB> connect(const HttpEndpoint& endpoint) override {
    auto& lowest = beast::get_lowest_layer(stream_);
    std::vector<Address> addresses;
    if (!endpoint.local_socket.empty()) {
      addresses.push_back(asio::local::stream_protocol::endpoint(endpoint.local_socket.string()));
    } else {
      asio::ip::tcp::resolver resolver(stream_.get_executor());
      const std::string port = std::to_string(endpoint.port);
      auto [unresolved, found] = co_await resolver.async_resolve(endpoint.host, port, kAwait);
      if (unresolved) co_return unresolved;
      for (const auto& entry : found) addresses.push_back(entry.endpoint());
    }
    auto [error, address] = co_await lowest.async_connect(addresses, kAwait);
    if (error) co_return error;
    ErrorCodeB ignored;  // a local socket has no such option
    lowest.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      const std::string& name = verify_name_.empty() ? endpoint.host : verify_name_;
      SSL_set_tlsext_host_name(stream_.native_handle(), name.c_str());
      stream_.set_verify_callback(asio::ssl::host_name_verification(name));
      auto [tls_error] = co_await stream_.async_handshake(asio::ssl::stream_base::client, kAwait);
      co_return tls_error;
    }
    co_return ErrorCodeB();
  }

  asio::awaitable<ErrorCodeB> write(http::request<http::string_body>& request) override {
    auto [error, size] = co_await http::async_write(stream_, request, kAwait);
    co_return error;
  }
  asio::awaitable<ErrorCodeB> read_head(http::response_parser<http::buffer_body>& parser) override {
    auto [error, size] = co_await http::async_read_header(stream_, buffer_, parser, kAwait);
    co_return error;
  }
  asio::awaitable<ErrorCodeB> read_some(http::response_parser<http::buffer_body>& parser) override {
    auto [error, size] = co_await http::async_read_some(stream_, buffer_, parser, kAwait);
    co_return error;
  }
  void expire_after(std::chrono::nanoseconds time) override {
    beast::get_lowest_layer(stream_).expires_after(time);
  }
  void expire_never() override { beast::get_lowest_layer(stream_).expires_never(); }
  void close() override {
    ErrorCodeB ignored;
    beast::get_lowest_layer(stream_).socket().close(ignored);
  }

 private:
  using Address = asio::generic::stream_protocol::endpoint;

  Stream stream_;
  beast::flat_buffer buffer_;
  const std::string verify_name_;
};

http::request<http::string_body> to_message(const HttpRequest& request,
                                            const HttpEndpoint& endpoint) {
  http::request<http::string_body> message;
  message.method_string(request.method);
  message.target(request.target);
  message.version(11);
  const bool plain_port = endpoint.port == (endpoint.tls ? 443 : 80);
  message.set(http::field::host, !endpoint.local_socket.empty() ? "localhost"
                                 : plain_port                   ? endpoint.host
                                              : fmt::format("{}:{}", endpoint.host, endpoint.port));
  for (const auto& [name, value] : request.headers.entries()) message.insert(name, value);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

HttpResponse head_of(const http::response_parser<http::buffer_body>& parser) {
  HttpResponse head;
  head.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    head.headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  return head;
}

/// A streamed answer, shared by who reads it and who may end it.
struct StreamState {
  std::recursive_mutex mutex;  ///< held while a callback runs
  HttpClient::StreamCallbacks callbacks;
  bool ended = false;
  std::shared_ptr<Wire> wire;  ///< on the client's thread only

  template <class Callback>
  void pass(const Callback& callback) {
    const std::lock_guard lock(mutex);
    if (!ended) callback();
  }
};

class BeastClient final : public HttpClient {
 public:
  explicit BeastClient(HttpClientOptions options) : options_(std::move(options)) {}

  Result<> start() {
    try {
      if (options_.verify) {
        tls_.set_verify_mode(asio::ssl::verify_peer);
        if (options_.ca_pem.empty()) {
          tls_.set_default_verify_paths();
        } else {
          tls_.add_certificate_authority(asio::buffer(options_.ca_pem));
        }
      } else {
        tls_.set_verify_mode(asio::ssl::verify_none);
      }
      if (!options_.certificate_pem.empty()) {
        tls_.use_certificate_chain(asio::buffer(options_.certificate_pem));
        tls_.use_private_key(asio::buffer(options_.key_pem), asio::ssl::context::pem);
      }
      SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_2_VERSION);
    } catch (const std::exception& error) {
      return fail(ErrorCode::kInvalid,
                  std::string("a certificate or key cannot be read: ") + error.what());
    }
    thread_ = std::thread([this] { io_.run(); });
    return {};
  }

  ~BeastClient() override {
    asio::post(io_, [this] {
      stopping_ = true;
      idle_.clear();
      for (const auto& wire : active_) {
        if (const auto open = wire.lock()) open->close();
      }
    });
    work_.reset();
    if (thread_.joinable()) thread_.join();
  }

  void request(const HttpEndpoint& endpoint, HttpRequest request, Duration timeout,
               OnResponse done) override {
    asio::post(io_, [this, endpoint, request = std::move(request), timeout,
                     done = std::move(done)]() mutable {
      asio::co_spawn(io_, run_request(endpoint, std::move(request), timeout, std::move(done)),
                     asio::detached);
    });
  }

  std::unique_ptr<Stream> stream(const HttpEndpoint& endpoint, HttpRequest request,
                                 Duration timeout, StreamCallbacks callbacks) override {
    auto state = std::make_shared<StreamState>();
    state->callbacks = std::move(callbacks);
    asio::post(io_, [this, endpoint, request = std::move(request), timeout, state]() mutable {
      asio::co_spawn(io_, run_stream(endpoint, std::move(request), timeout, state), asio::detached);
    });
    return std::make_unique<OpenStream>(io_, std::move(state));
  }

 private:
  class OpenStream final : public Stream {
   public:
    OpenStream(asio::io_context& io, std::shared_ptr<StreamState> state)
        : io_(io), state_(std::move(state)) {}
    ~OpenStream() override {
      {
        const std::lock_guard lock(state_->mutex);
        if (std::exchange(state_->ended, true)) return;
      }
      asio::post(io_, [state = state_] {
        if (state->wire) state->wire->close();
      });
    }

   private:
    asio::io_context& io_;
    const std::shared_ptr<StreamState> state_;
  };

  using Key = std::tuple<std::string, uint16_t, bool, std::string>;
  static Key key_of(const HttpEndpoint& endpoint) {
    return {endpoint.host, endpoint.port, endpoint.tls, endpoint.local_socket.string()};
  }

  std::shared_ptr<Wire> make_wire(const HttpEndpoint& endpoint) {
    std::shared_ptr<Wire> wire;
    if (endpoint.tls && endpoint.local_socket.empty()) {
      wire = std::make_shared<WireOn<TlsStream>>(options_.verify_name, io_, tls_);
    } else {
      wire = std::make_shared<WireOn<PlainStream>>("", io_);
    }
    std::erase_if(active_, [](const auto& other) { return other.expired(); });
    active_.push_back(wire);
    return wire;
  }

  std::shared_ptr<Wire> take_idle(const HttpEndpoint& endpoint) {
    auto& wires = idle_[key_of(endpoint)];
    const auto now = std::chrono::steady_clock::now();
    while (!wires.empty()) {
      const std::shared_ptr<Wire> wire = std::move(wires.back());
      wires.pop_back();
      if (now - wire->idle_since < kIdleFor) return wire;
    }
    return nullptr;
  }

  void keep_idle(const HttpEndpoint& endpoint, std::shared_ptr<Wire> wire) {
    auto& wires = idle_[key_of(endpoint)];
    if (stopping_ || wires.size() >= kIdlePerEndpoint) return;
    wire->expire_never();
    wire->idle_since = std::chrono::steady_clock::now();
    wires.push_back(std::move(wire));
  }

  struct Opened {
    std::shared_ptr<Wire> wire;
    ErrorCodeB error;
  };

  /// Sends the request and reads the head of the answer. A kept connection may have been closed by
  /// the server in the meantime: then nothing was read, and a new one is tried, once.
  asio::awaitable<Opened> open(HttpEndpoint endpoint, http::request<http::string_body>& message,
                               std::optional<http::response_parser<http::buffer_body>>& parser,
                               std::chrono::nanoseconds timeout, bool fresh) {
    for (;;) {
      if (stopping_) co_return Opened{nullptr, asio::error::operation_aborted};
      std::shared_ptr<Wire> wire = fresh ? nullptr : take_idle(endpoint);
      const bool kept = wire != nullptr;
      ErrorCodeB error;
      if (!kept) {
        wire = make_wire(endpoint);
        wire->expire_after(timeout);
        error = co_await wire->connect(endpoint);
      } else {
        wire->expire_after(timeout);
      }
      if (!error) error = co_await wire->write(message);
      if (!error) {
        parser.emplace();
        parser->body_limit(options_.max_body_bytes);
        if (message.method() == http::verb::head) parser->skip(true);
        error = co_await wire->read_head(*parser);
      }
      const bool stale =
          kept && (error == http::error::end_of_stream || error == asio::error::connection_reset ||
                   error == asio::error::broken_pipe || error == asio::error::eof);
      if (stale) continue;
      co_return Opened{wire, error};
    }
  }

  /// The rest of the body, in pieces. Success ends with an empty error.
  template <class OnBytes>
  asio::awaitable<ErrorCodeB> read_body(Wire& wire,
                                        http::response_parser<http::buffer_body>& parser,
                                        OnBytes on_bytes) {
    std::vector<char> chunk(16 << 10);
    while (!parser.is_done()) {
      parser.get().body().data = chunk.data();
      parser.get().body().size = chunk.size();
      ErrorCodeB error = co_await wire.read_some(parser);
      if (error == http::error::need_buffer) error = {};
      const size_t size = chunk.size() - parser.get().body().size;
      if (size > 0) on_bytes(std::string_view(chunk.data(), size));
      if (error) co_return error;
    }
    co_return ErrorCodeB();
  }

  asio::awaitable<void> run_request(HttpEndpoint endpoint, HttpRequest request, Duration timeout,
                                    OnResponse done) {
    auto message = to_message(request, endpoint);
    std::optional<http::response_parser<http::buffer_body>> parser;
    const std::chrono::nanoseconds limit(timeout.ns);
    Opened opened = co_await open(endpoint, message, parser, limit, false);
    if (opened.error) {
      done(failure(opened.error, endpoint));
      co_return;
    }
    HttpResponse response = head_of(*parser);
    const auto append = [&response](std::string_view bytes) { response.body += bytes; };
    const ErrorCodeB error = co_await read_body(*opened.wire, *parser, append);
    if (error) {
      done(failure(error, endpoint));
      co_return;
    }
    if (parser->keep_alive()) keep_idle(endpoint, std::move(opened.wire));
    done(std::move(response));
  }

  asio::awaitable<void> run_stream(HttpEndpoint endpoint, HttpRequest request, Duration timeout,
                                   std::shared_ptr<StreamState> state) {
    auto message = to_message(request, endpoint);
    std::optional<http::response_parser<http::buffer_body>> parser;
    const std::chrono::nanoseconds limit(timeout.ns);
    Opened opened = co_await open(endpoint, message, parser, limit, true);
    Result<> how;
    if (opened.error) {
      how = failure(opened.error, endpoint);
    } else {
      parser->body_limit(boost::none);
      state->wire = opened.wire;
      opened.wire->expire_never();
      const HttpResponse head = head_of(*parser);
      state->pass([&] { state->callbacks.on_head(head); });
      const auto tell = [&state](std::string_view bytes) {
        state->pass([&] { state->callbacks.on_bytes(bytes); });
      };
      const ErrorCodeB error =
          is_ended(*state) ? ErrorCodeB() : co_await read_body(*opened.wire, *parser, tell);
      if (error) how = failure(error, endpoint);
      opened.wire->close();
      state->wire.reset();
    }
    const std::lock_guard lock(state->mutex);
    if (std::exchange(state->ended, true)) co_return;
    state->callbacks.on_end(how);
  }

  static bool is_ended(StreamState& state) {
    const std::lock_guard lock(state.mutex);
    return state.ended;
  }

  const HttpClientOptions options_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  std::map<Key, std::vector<std::shared_ptr<Wire>>> idle_;
  std::vector<std::weak_ptr<Wire>> active_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::create(HttpClientOptions options) {
  auto client = std::make_unique<BeastClient>(std::move(options));
  BERTH_CHECK(client->start());
  return client;
}

}  // namespace berth::platform
