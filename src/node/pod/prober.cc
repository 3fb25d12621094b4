#include "node/pod/prober.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/deadline.h"
#include "platform/process.h"

namespace berth::node {
namespace {

using platform::Deadline;
using platform::Fd;

constexpr size_t kStatusLineBytes = 16'384;
constexpr size_t kMetricsPageBytes = size_t{4} << 20;

std::unexpected<Error> failed(std::string what) {
  return fail(ErrorCode::kUnavailable, std::move(what));
}

/// Waits until the socket is ready for `events`; false at the deadline.
bool ready(int fd, short events, const Deadline& deadline) {
  for (;;) {
    if (deadline.passed()) return false;
    pollfd wait{fd, events, 0};
    const int n = ::poll(&wait, 1, deadline.milliseconds_left());
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return false;
  }
}

Result<Fd> connect_to(const std::string& host, int port, const Deadline& deadline) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(host.c_str(), fmt::format("{}", port).c_str(), &hints, &found);
  if (status != 0) return failed(fmt::format("{}: {}", host, ::gai_strerror(status)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> keep(found, &::freeaddrinfo);
  Fd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return failed(std::strerror(errno));
  int error = 0;
  if (::connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      if (!ready(fd.get(), POLLOUT, deadline))
        return failed(fmt::format("dial tcp {}:{}: i/o timeout", host, port));
      socklen_t size = sizeof error;
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error != 0)
    return failed(fmt::format("dial tcp {}:{}: {}", host, port, std::strerror(error)));
  return fd;
}

/// A connection with or without TLS; like the kubelet's probes it accepts any certificate.
class Stream {
 public:
  Stream(Fd fd, const Deadline& deadline) : fd_(std::move(fd)), deadline_(deadline) {}

  Result<> handshake() {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_.get());
    for (;;) {
      const int n = SSL_connect(ssl_.get());
      if (n == 1) return {};
      if (!retry(n)) return failed("TLS handshake failed");
    }
  }
  Result<> write(std::string_view data) {
    while (!data.empty()) {
      const auto n = ssl_ ? SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size()))
                          : ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (n > 0)
        data.remove_prefix(static_cast<size_t>(n));
      else if (!retry(static_cast<int>(n), POLLOUT))
        return failed("cannot write");
    }
    return {};
  }
  /// Up to a limit or the end.
  /// Until `end` has come, the other side closes, or `limit` bytes.
  Result<std::string> read(size_t limit, std::string_view end) {
    std::string out;
    std::array<char, 4096> buffer;
    while (out.size() < limit) {
      const auto n = ssl_ ? SSL_read(ssl_.get(), buffer.data(), buffer.size())
                          : ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (n > 0) {
        out.append(buffer.data(), static_cast<size_t>(n));
        if (!end.empty() && out.find(end) != std::string::npos) break;
      } else if (n == 0 && !ssl_) {
        break;
      } else if (!retry(static_cast<int>(n), POLLIN)) {
        if (deadline_.passed()) return failed("context deadline exceeded");
        break;
      }
    }
    return out;
  }

 private:
  bool retry(int result, short events = POLLIN) {
    if (ssl_) {
      const int why = SSL_get_error(ssl_.get(), result);
      if (why == SSL_ERROR_WANT_READ) return ready(fd_.get(), POLLIN, deadline_);
      if (why == SSL_ERROR_WANT_WRITE) return ready(fd_.get(), POLLOUT, deadline_);
      return false;
    }
    return (errno == EAGAIN || errno == EINTR) && ready(fd_.get(), events, deadline_);
  }

  struct Free {
    void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
    void operator()(SSL* s) const { SSL_free(s); }
  };
  Fd fd_;
  Deadline deadline_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

std::string http_request(const Handler& handler, const std::string& host) {
  std::string path = handler.path.starts_with('/') ? handler.path : "/" + handler.path;
  std::erase_if(path, [](char c) { return c == '\r' || c == '\n' || c == ' '; });
  std::string out = fmt::format("GET {} HTTP/1.1\r\n", path);
  bool has_host = false;
  bool has_agent = false;
  for (auto [name, value] : handler.headers) {
    for (std::string* text : {&name, &value})
      std::erase_if(*text, [](char c) { return c == '\r' || c == '\n'; });
    has_host |= name == "Host";
    has_agent |= name == "User-Agent";
    out += fmt::format("{}: {}\r\n", name, value);
  }
  if (!has_host) out += fmt::format("Host: {}:{}\r\n", host, handler.port);
  if (!has_agent) out += "User-Agent: kube-probe/berth\r\n";
  return out + "Accept: */*\r\nConnection: close\r\n\r\n";
}

/// The answer to a GET, up to `end` or `limit` bytes of it.
Result<std::string> fetch(const Handler& handler, const std::string& host, const Deadline& deadline,
                          size_t limit, std::string_view end) {
  BERTH_TRY(Fd fd, connect_to(host, handler.port, deadline));
  Stream stream(std::move(fd), deadline);
  if (handler.https) BERTH_CHECK(stream.handshake());
  BERTH_CHECK(stream.write(http_request(handler, host)));
  return stream.read(limit, end);
}

Result<> http_get(const Handler& handler, const std::string& host, const Deadline& deadline) {
  BERTH_TRY(const std::string answer, fetch(handler, host, deadline, kStatusLineBytes, "\r\n"));
  const auto words = split(std::string_view(answer).substr(0, answer.find("\r\n")), ' ');
  int status = 0;
  if (words.size() >= 2)
    std::from_chars(words[1].data(), words[1].data() + words[1].size(), status);
  if (!answer.starts_with("HTTP/") || status == 0) return failed("malformed HTTP response");
  if (status >= 200 && status < 400) return {};
  return failed(fmt::format("HTTP probe failed with statuscode: {}", status));
}

}  // namespace

bool has_requests(const std::vector<std::string>& busy_metrics, std::string_view page) {
  for (std::string_view line : split(page, '\n')) {
    line = trim(line);
    const std::string_view name = line.substr(0, line.find_first_of(" {"));
    if (std::ranges::find(busy_metrics, name) == busy_metrics.end()) continue;
    const size_t labels = line.rfind('}');
    line = trim(line.substr(labels == std::string_view::npos ? name.size() : labels + 1));
    double value = 0;
    std::from_chars(line.data(), line.data() + line.size(), value);
    if (value > 0) return true;
  }
  return false;
}

Result<> run_handler(const ContainerRuntime& runtime, const Handler& handler,
                     const ProbeTarget& target, Duration timeout) {
  const Deadline deadline(timeout);
  const std::string& host = handler.host.empty() ? target.address : handler.host;
  switch (handler.kind) {
    case Handler::Kind::kExec: {
      BERTH_TRY(const auto result, runtime.exec(target.container_id, handler.command, timeout));
      if (result.timed_out)
        return failed(fmt::format("command timed out after {}", format_duration(timeout)));
      if (result.exit_code == 0) return {};
      const std::string_view said = trim(result.output.empty() ? result.errors : result.output);
      return failed(said.empty() ? fmt::format("command exited with {}", result.exit_code)
                                 : std::string(said.substr(0, 512)));
    }
    case Handler::Kind::kHttpGet:
      return http_get(handler, host, deadline);
    case Handler::Kind::kTcpSocket: {
      BERTH_TRY(const Fd fd, connect_to(host, handler.port, deadline));
      return {};
    }
    case Handler::Kind::kDrain: {
      const auto page = fetch(handler, host, deadline, kMetricsPageBytes, {});
      if (page && has_requests(handler.busy_metrics, *page)) return failed("it has requests");
      return {};
    }
    case Handler::Kind::kSleep:
      ::poll(nullptr, 0, static_cast<int>(std::min(handler.sleep, timeout).to_milliseconds()));
      return {};
  }
  return {};
}

}  // namespace berth::node
