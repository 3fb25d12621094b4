#include <filesystem>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "apiserver/http/api_path.h"
#include "fuzz.h"
#include "platform/http/server.h"

using namespace berth;

namespace {

/// The server that `berth serve` runs, on a local socket, with a handler that reads the address.
class Server {
 public:
  Server()
      : path_(std::filesystem::temp_directory_path() / ("fuzz-" + std::to_string(::getpid()))) {
    platform::HttpServerOptions options;
    options.address.clear();
    options.local_socket = path_;
    options.threads = 1;
    options.max_header_bytes = 2048;
    options.max_body_bytes = 1024;
    auto started = platform::HttpServer::start(
        options, [](const std::shared_ptr<platform::HttpExchange>& exchange) {
          const platform::HttpRequest& request = exchange->request();
          FUZZ_CHECK(request.body.size() <= 1024);
          std::string body = request.method;
          if (const auto address = apiserver::Address::parse(request.target)) {
            if (const auto resource = apiserver::ResourcePath::parse(address->segments))
              body += resource->resource;
            FUZZ_CHECK(address->segments.size() <= request.target.size());
          }
          exchange->send({200, {}, std::move(body)});
        });
    FUZZ_CHECK(started);
    server_ = *std::move(started);
  }

  /// All that the server answers to these bytes and nothing after them.
  std::string ask(std::string_view bytes) const {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    FUZZ_CHECK(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    // Short of what a socket holds, so that nothing is cut off.
    (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::shutdown(socket, SHUT_WR);
    std::string answer;
    char chunk[4096];
    for (ssize_t size = 0; (size = ::recv(socket, chunk, sizeof chunk, 0)) > 0;)
      answer.append(chunk, static_cast<size_t>(size));
    ::close(socket);
    return answer;
  }

 private:
  const std::filesystem::path path_;
  std::unique_ptr<platform::HttpServer> server_;
};

}  // namespace

/// Whatever is sent, the server lives, and says nothing that is not HTTP.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const Server server;
  const std::string answer = server.ask(as_text(bytes, size));
  FUZZ_CHECK(answer.empty() || answer.starts_with("HTTP/1.1 "));
  FUZZ_CHECK(!answer.starts_with("HTTP/1.1 500"));
  return 0;
}
