#include "cli/server/http.h"

#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

namespace berth::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Parser = http::response_parser<http::buffer_body>;

constexpr std::chrono::seconds kPatience{60};
constexpr size_t kLargestAnswer = size_t{1} << 30;

/// A byte stream of one of the three sorts, run step by step on one io_context.
class Channel {
 public:
  virtual ~Channel() = default;
  using Done = std::function<void(error_code, size_t)>;
  virtual void connect(const Endpoint& endpoint, Done done) = 0;
  virtual void write(const http::request<http::string_body>& request, Done done) = 0;
  virtual void read_header(beast::flat_buffer& buffer, Parser& parser, Done done) = 0;
  virtual void read_body(beast::flat_buffer& buffer, Parser& parser, Done done) = 0;
  virtual void close() = 0;
};

template <class Stream>
class StreamChannel : public Channel {
 public:
  template <class... Args>
  explicit StreamChannel(Args&&... args) : stream_(std::forward<Args>(args)...) {}

  void write(const http::request<http::string_body>& request, Done done) override {
    http::async_write(stream_, request, std::move(done));
  }
  void read_header(beast::flat_buffer& buffer, Parser& parser, Done done) override {
    http::async_read_header(stream_, buffer, parser, std::move(done));
  }
  void read_body(beast::flat_buffer& buffer, Parser& parser, Done done) override {
    http::async_read_some(stream_, buffer, parser, std::move(done));
  }

 protected:
  Stream stream_;
};

class LocalChannel final : public StreamChannel<asio::local::stream_protocol::socket> {
 public:
  explicit LocalChannel(asio::io_context& io) : StreamChannel(io) {}
  void connect(const Endpoint& endpoint, Done done) override {
    stream_.async_connect(asio::local::stream_protocol::endpoint(endpoint.socket.string()),
                          [done = std::move(done)](error_code error) { done(error, 0); });
  }
  void close() override {
    error_code ignored;
    stream_.close(ignored);
  }
};

template <class Socket, class Done>
void connect_tcp(asio::ip::tcp::resolver& resolver, Socket& socket, const Endpoint& endpoint,
                 Done done) {
  resolver.async_resolve(endpoint.host, endpoint.port,
                         [&socket, done = std::move(done)](error_code error, const auto& found) {
                           if (error) return done(error, 0);
                           asio::async_connect(
                               socket, found,
                               [done](error_code failed, const auto&) { done(failed, 0); });
                         });
}

class PlainChannel final : public StreamChannel<asio::ip::tcp::socket> {
 public:
  explicit PlainChannel(asio::io_context& io) : StreamChannel(io), resolver_(io) {}
  void connect(const Endpoint& endpoint, Done done) override {
    connect_tcp(resolver_, stream_, endpoint, std::move(done));
  }
  void close() override {
    error_code ignored;
    stream_.close(ignored);
  }

 private:
  asio::ip::tcp::resolver resolver_;
};

class TlsChannel final : public StreamChannel<asio::ssl::stream<asio::ip::tcp::socket>> {
 public:
  TlsChannel(asio::io_context& io, asio::ssl::context& tls)
      : StreamChannel(io, tls), resolver_(io) {}
  void connect(const Endpoint& endpoint, Done done) override {
    if (!endpoint.skip_verification) {
      stream_.set_verify_mode(asio::ssl::verify_peer);
      stream_.set_verify_callback(asio::ssl::host_name_verification(endpoint.server_name));
    }
    error_code is_address;
    asio::ip::make_address(endpoint.server_name, is_address);
    if (is_address) {
      SSL_set_tlsext_host_name(stream_.native_handle(), endpoint.server_name.c_str());
    }
    connect_tcp(resolver_, stream_.next_layer(), endpoint,
                [this, done = std::move(done)](error_code error, size_t) {
                  if (error) return done(error, 0);
                  stream_.async_handshake(asio::ssl::stream_base::client,
                                          [done](error_code failed) { done(failed, 0); });
                });
  }
  void close() override {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  asio::ip::tcp::resolver resolver_;
};

}  // namespace

struct HttpRound::State {
  explicit State(const Endpoint& to) : endpoint(to), tls(asio::ssl::context::tls_client) {}

  Result<> prepare() {
    try {
      if (!endpoint.socket.empty()) {
        channel = std::make_unique<LocalChannel>(io);
      } else if (!endpoint.tls) {
        channel = std::make_unique<PlainChannel>(io);
      } else {
        if (endpoint.ca_pem.empty()) {
          tls.set_default_verify_paths();
        } else {
          tls.add_certificate_authority(asio::buffer(endpoint.ca_pem));
        }
        if (!endpoint.certificate_pem.empty()) {
          tls.use_certificate_chain(asio::buffer(endpoint.certificate_pem));
          tls.use_private_key(asio::buffer(endpoint.key_pem), asio::ssl::context::pem);
        }
        channel = std::make_unique<TlsChannel>(io, tls);
      }
    } catch (const boost::system::system_error& error) {
      return fail(ErrorCode::kInvalid, "unusable certificate or key: " + std::string(error.what()),
                  endpoint.source);
    }
    return {};
  }

  /// Starts one step and waits for it; without a limit when `forever`.
  template <class Start>
  error_code step(Start start, bool forever = false) {
    error_code result;
    asio::steady_timer patience(io);
    if (!forever) {
      patience.expires_after(kPatience);
      patience.async_wait([this](error_code cancelled) {
        if (cancelled) return;
        timed_out = true;
        channel->close();
      });
    }
    start([&](error_code error, size_t) {
      result = error;
      patience.cancel();
    });
    io.restart();
    io.run();
    return result;
  }

  std::unexpected<Error> failed(const error_code& error) const {
    if (timed_out) {
      return fail(ErrorCode::kTimeout, "the server did not answer in time", endpoint.source);
    }
    const std::string place =
        endpoint.socket.empty() ? endpoint.host + ":" + endpoint.port : endpoint.socket.string();
    return fail(ErrorCode::kUnavailable,
                "the server at " + place + " cannot be reached: " + error.message(),
                endpoint.source, "is `berth serve` running?");
  }

  Result<HttpAnswer> exchange(const HttpCall& call, bool streaming,
                              const std::function<bool(std::string_view)>& on_chunk) {
    BERTH_CHECK(prepare());
    if (const auto error = step([&](auto done) { channel->connect(endpoint, std::move(done)); })) {
      return failed(error);
    }
    http::request<http::string_body> request;
    request.method_string(call.method);
    request.target(call.target);
    request.set(http::field::host, endpoint.host.empty() ? "localhost" : endpoint.host);
    request.set(http::field::user_agent, "berth/0.1");
    request.set(http::field::accept, call.accept);
    if (!endpoint.token.empty()) {
      request.set(http::field::authorization, "Bearer " + endpoint.token);
    }
    if (!call.content_type.empty()) request.set(http::field::content_type, call.content_type);
    request.keep_alive(false);
    request.body() = call.body;
    request.prepare_payload();
    if (const auto error = step([&](auto done) { channel->write(request, std::move(done)); })) {
      return failed(error);
    }
    return read_answer(streaming, on_chunk);
  }

  Result<HttpAnswer> read_answer(bool streaming,
                                 const std::function<bool(std::string_view)>& on_chunk) {
    beast::flat_buffer buffer;
    Parser parser;
    parser.body_limit(streaming ? boost::none : boost::optional<uint64_t>(kLargestAnswer));
    const auto header =
        step([&](auto done) { channel->read_header(buffer, parser, std::move(done)); }, streaming);
    if (interrupted) return HttpAnswer{};
    if (header) return failed(header);

    HttpAnswer answer;
    answer.status = parser.get().result_int();
    const auto [first, last] = parser.get().equal_range(http::field::warning);
    for (auto at = first; at != last; ++at) answer.warnings.emplace_back(at->value());
    const bool hand_on = streaming && answer.status / 100 == 2;
    std::array<char, 16384> chunk;
    while (!parser.is_done()) {
      parser.get().body().data = chunk.data();
      parser.get().body().size = chunk.size();
      const auto error =
          step([&](auto done) { channel->read_body(buffer, parser, std::move(done)); }, hand_on);
      const std::string_view bytes(chunk.data(), chunk.size() - parser.get().body().size);
      if (!hand_on) answer.body += bytes;
      if (hand_on && !bytes.empty() && !on_chunk(bytes)) break;
      if (interrupted || error == http::error::end_of_stream) break;
      if (error && error != http::error::need_buffer) return failed(error);
    }
    channel->close();
    return answer;
  }

  const Endpoint endpoint;
  asio::io_context io;
  asio::ssl::context tls;
  std::unique_ptr<Channel> channel;
  bool timed_out = false;
  bool interrupted = false;
};

HttpRound::HttpRound(const Endpoint& endpoint) : state_(std::make_unique<State>(endpoint)) {}

HttpRound::~HttpRound() = default;

Result<HttpAnswer> HttpRound::send(const HttpCall& call) {
  return state_->exchange(call, false, [](std::string_view) { return true; });
}

Result<HttpAnswer> HttpRound::stream(const HttpCall& call,
                                     const std::function<bool(std::string_view)>& on_chunk) {
  return state_->exchange(call, true, on_chunk);
}

void HttpRound::interrupt() {
  asio::post(state_->io, [state = state_.get()] {
    state->interrupted = true;
    if (state->channel) state->channel->close();
  });
}

}  // namespace berth::cli
