#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/deadline.h"
#include "platform/http/server.h"

namespace berth::platform {
namespace {

/// A plain socket: what a client library would never send can be sent, too.
class RawConnection {
 public:
  explicit RawConnection(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const timeval limit{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~RawConnection() { close(); }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  bool connected() const { return connected_; }
  void write(const std::string& bytes) {
    (void)::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  /// Until the end, or until the text holds `stop`.
  std::string read(const std::string& stop = {}) {
    std::string text;
    char chunk[4096];
    while (stop.empty() || text.find(stop) == std::string::npos) {
      const ssize_t size = ::recv(socket_, chunk, sizeof chunk, 0);
      if (size <= 0) break;
      text.append(chunk, static_cast<size_t>(size));
    }
    return text;
  }

 private:
  int socket_;
  bool connected_ = false;
};

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpServer::Handler handler, HttpServerOptions options = {}) {
    auto started = HttpServer::start(options, std::move(handler));
    ASSERT_TRUE(started) << started.error().to_string();
    server_ = *std::move(started);
  }
  static HttpServer::Handler echo() {
    return [](const std::shared_ptr<HttpExchange>& exchange) {
      exchange->send({200, {}, exchange->request().method + " " + exchange->request().body});
    };
  }
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersSeveralRequestsOnOneConnection) {
  start(echo());
  RawConnection connection(server_->port());
  connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_NE(connection.read("POST hi").find("200 OK"), std::string::npos);
  connection.write(
      "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string both = connection.read();
  EXPECT_NE(both.find("GET "), both.rfind("GET "));
}

TEST_F(HttpServerTest, ALastChunkMayComeAByteAtATime) {
  start(echo());
  RawConnection connection(server_->port());
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
  connection.write(head + "Transfer-Encoding: chunked\r\n\r\n0\r\n");
  EXPECT_NE(connection.read("100 Continue\r\n\r\n"), "");
  for (const char* byte : {"\r", "\n"}) {
    // It is read on its own: what was sent before has arrived long since.
    const Deadline deadline(Duration::milliseconds(50));
    while (!deadline.passed()) std::this_thread::yield();
    connection.write(byte);
  }
  EXPECT_NE(connection.read("POST ").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, RefusesWhatIsNoRequest) {
  start(echo());
  RawConnection connection(server_->port());
  connection.write("this is no HTTP\r\n\r\n");
  EXPECT_NE(connection.read().find("400"), std::string::npos);
}

TEST_F(HttpServerTest, LimitsHeadersAndBodies) {
  HttpServerOptions options;
  options.max_body_bytes = 100;
  options.max_header_bytes = 1000;
  start(echo(), options);
  RawConnection large(server_->port());
  large.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
  EXPECT_NE(large.read().find("413"), std::string::npos);
  RawConnection wide(server_->port());
  wide.write("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n");
  EXPECT_NE(wide.read().find("431"), std::string::npos);
}

TEST_F(HttpServerTest, DoesNotWaitForeverForAHeader) {
  HttpServerOptions options;
  options.header_timeout = Duration::milliseconds(100);
  start(echo(), options);
  RawConnection slow(server_->port());
  slow.write("GET / HTT");
  slow.read();  // returns because the server closes
  SUCCEED();
}

TEST_F(HttpServerTest, SendsPartsAndNoticesThatTheClientLeft) {
  std::atomic<bool> left = false;
  start([&](const std::shared_ptr<HttpExchange>& exchange) {
    exchange->on_close([exchange, &left] { left = true; });
    exchange->begin({200, {}, ""});
    exchange->write("first\n");
  });
  RawConnection connection(server_->port());
  connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(connection.read("first").find("chunked"), std::string::npos);
  connection.close();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!left && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_TRUE(left);
}

TEST_F(HttpServerTest, PartsThatComeAtOnceOrLateAreAllSent) {
  std::vector<std::thread> writers;
  start([&](const std::shared_ptr<HttpExchange>& exchange) {
    writers.emplace_back([exchange] {
      exchange->begin({200, {}, ""});
      exchange->write("one ");
      std::this_thread::yield();
      exchange->write("two");
      exchange->finish();
    });
  });
  for (int i = 0; i < 200; ++i) {
    RawConnection connection(server_->port());
    connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_NE(connection.read().find("two"), std::string::npos) << i;
  }
  server_->stop();
  for (std::thread& writer : writers) writer.join();
}

TEST_F(HttpServerTest, ARequestNobodyAnsweredIsAnsweredNevertheless) {
  start([](const std::shared_ptr<HttpExchange>&) {});
  RawConnection connection(server_->port());
  connection.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_NE(connection.read().find("500"), std::string::npos);
}

std::string refusal(const std::string& address, uint16_t port, ErrorCode code) {
  HttpServerOptions options;
  options.address = address;
  options.port = port;
  const auto started = HttpServer::start(options, [](const auto&) {});
  if (started) return "listens";
  EXPECT_EQ(started.error().code, code);
  return started.error().to_string();
}

TEST_F(HttpServerTest, AnAddressThatCannotBeTakenIsAnsweredInWords) {
  EXPECT_EQ(refusal("192.0.2.1", 8080, ErrorCode::kInvalid),
            "192.0.2.1:8080: this machine has no such address; give --address 127.0.0.1, 0.0.0.0 "
            "for all, or one that `ip -brief address` shows");
  EXPECT_EQ(refusal("here", 0, ErrorCode::kInvalid),
            "here:0: this is no IP address; give --address 127.0.0.1, 0.0.0.0 for all, or one that "
            "`ip -brief address` shows");
  start([](const std::shared_ptr<HttpExchange>&) {});
  const uint16_t taken = server_->port();
  EXPECT_EQ(refusal("127.0.0.1", taken, ErrorCode::kUnavailable),
            "127.0.0.1:" + std::to_string(taken) +
                ": cannot listen: Address already in use; choose another address or port, or stop "
                "the process that uses it");
}

TEST_F(HttpServerTest, StopsWithOpenConnections) {
  std::shared_ptr<HttpExchange> kept;
  std::atomic<bool> asked = false;
  start([&](const std::shared_ptr<HttpExchange>& exchange) {
    kept = exchange;
    asked = true;
  });
  RawConnection idle(server_->port());
  RawConnection waiting(server_->port());
  waiting.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  while (!asked) std::this_thread::yield();
  server_->stop();
  EXPECT_EQ(waiting.read(), "");
  kept->send({200, {}, "too late"});
  kept.reset();
  server_.reset();
}

}  // namespace
}  // namespace berth::platform
