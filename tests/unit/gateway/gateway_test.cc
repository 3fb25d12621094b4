// The gateway in this process, before real HTTP servers, with real clients.

#include "gateway/gateway.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <sstream>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/keys/key_file.h"
#include "gateway/metrics.h"
#include "platform/deadline.h"
#include "platform/http/server.h"

namespace berth::gateway {
namespace {

using platform::HttpExchange;
using platform::HttpResponse;
using platform::HttpServer;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr Duration kLimit = Duration::seconds(20);

class FixedClock final : public Clock {
 public:
  Time now() const override { return Time{} + Duration::hours(24 * 365 * 55); }
};

/// A server of models that does as it is told. Requests that no one decides on wait in `held`.
class FakeServer {
 public:
  FakeServer() {
    platform::HttpServerOptions options;
    options.threads = 1;
    auto server = HttpServer::start(options, [this](std::shared_ptr<HttpExchange> exchange) {
      if (exchange->request().target == "/health") {
        exchange->send({.status = healthy ? 200 : 503, .headers = {}, .body = "{}"});
        return;
      }
      const std::lock_guard lock(mutex_);
      bodies_.push_back(exchange->request().body);
      if (respond_) {
        respond_(*exchange);
      } else {
        held_.push_back(std::move(exchange));
      }
      changed_.notify_all();
    });
    server_ = std::move(*server);
  }
  ~FakeServer() { server_->stop(); }

  Upstream upstream(int max_in_flight = 64) const {
    Upstream upstream = *parse_upstream("http://127.0.0.1:" + std::to_string(server_->port()));
    upstream.max_in_flight = max_in_flight;
    return upstream;
  }
  void respond(std::function<void(HttpExchange&)> how) {
    const std::lock_guard lock(mutex_);
    respond_ = std::move(how);
  }
  /// The next request that waits for a decision.
  std::shared_ptr<HttpExchange> take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !held_.empty(); }))
      return nullptr;
    auto exchange = std::move(held_.front());
    held_.pop_front();
    return exchange;
  }
  std::vector<std::string> bodies() const {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }

  std::atomic<bool> healthy = true;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void(HttpExchange&)> respond_;
  std::deque<std::shared_ptr<HttpExchange>> held_;
  std::vector<std::string> bodies_;
  std::unique_ptr<HttpServer> server_;
};

/// A socket to the gateway.
class Client {
 public:
  explicit Client(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Client() { close(); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  Client& send(const std::string& bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    return *this;
  }
  Client& post(const std::string& body, const std::string& fields = "",
               const std::string& path = "/v1/completions") {
    return send("POST " + path + " HTTP/1.1\r\nHost: gateway\r\n" + fields +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  /// Everything that comes until `end` was seen, or the connection ends.
  std::string read_until(std::string_view end) {
    while (text_.find(end) == std::string::npos) {
      char buffer[4096];
      const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
      if (size <= 0) break;
      text_.append(buffer, static_cast<size_t>(size));
    }
    const size_t at = text_.find(end);
    const size_t size = at == std::string::npos ? text_.size() : at + end.size();
    std::string out = text_.substr(0, size);
    text_.erase(0, size);
    return out;
  }
  /// One answer with a Content-Length.
  std::string answer() {
    std::string head = read_until("\r\n\r\n");
    const size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    const auto size = std::stoul(head.substr(at + 16));
    std::string body = std::exchange(text_, {});
    while (body.size() < size) {
      char buffer[4096];
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      body.append(buffer, static_cast<size_t>(got));
    }
    text_ = body.substr(std::min(size, body.size()));
    return head + body.substr(0, size);
  }
  std::string rest() { return read_until("never\x01"); }

 private:
  int fd_;
  std::string text_;
};

HttpResponse json(int status, std::string body) {
  HttpResponse response{.status = status, .headers = {}, .body = std::move(body)};
  response.headers.add("Content-Type", "application/json");
  return response;
}
const std::string kAnswer =
    R"({"choices":[{"text":"hi"}],"usage":{"prompt_tokens":3,"completion_tokens":5}})";
const std::string kAsk = R"({"model":"m","prompt":"hello"})";
const std::string kAskStream = R"({"model":"m","prompt":"hello","stream":true})";

void begin_stream(HttpExchange& exchange) {
  HttpResponse head;
  head.headers.add("Content-Type", "text/event-stream");
  exchange.begin(std::move(head));
}
std::string event(std::string_view text) {
  return "data: " + std::string(text) + "\n\n";
}
const std::string kTokenEvent = event(R"({"choices":[{"text":"x"}]})");
const std::string kUsageEvent =
    event(R"({"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}})");

class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.respond([](HttpExchange& e) { e.send(json(200, kAnswer)); });
  }

  void start(std::function<void(GatewayOptions&)> change = {}) {
    GatewayOptions options;
    options.port = 0;
    options.upstreams = {{"m", server_.upstream()}};
    options.anonymous_tenant = "ann";
    options.remark = [](const std::string&) {};
    if (change) change(options);
    auto gateway = Gateway::start(std::move(options), clock_);
    ASSERT_TRUE(gateway) << gateway.error().to_string();
    gateway_ = std::move(*gateway);
  }
  Client client() const { return Client(gateway_->port()); }
  std::string metrics() const {
    return client().send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").answer();
  }
  /// Waits for a line of the metrics page.
  void expect_metric(const std::string& line) const {
    const platform::Deadline deadline(kLimit);
    while (metrics().find(line) == std::string::npos && !deadline.passed())
      std::this_thread::yield();
    EXPECT_THAT(metrics(), HasSubstr(line));
  }

  FixedClock clock_;
  FakeServer server_;
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(GatewayTest, PassesAnAnswerAndCountsItsTokens) {
  start();
  Client ann = client();
  for (int i = 0; i < 3; ++i) {
    const std::string answer = ann.post(kAsk).answer();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr(kAnswer));
  }
  EXPECT_EQ(server_.bodies(), (std::vector<std::string>{kAsk, kAsk, kAsk}));
  expect_metric(R"(berth_gateway_tokens_total{tenant="ann",model="m",direction="output"} 15)");
  expect_metric(R"(berth_gateway_requests_total{tenant="ann",model="m",outcome="answered"} 3)");
}

TEST_F(GatewayTest, AnswersPipelinedRequestsInOrder) {
  start();
  Client ann = client();
  ann.send(
      "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nPOST /v1/completions HTTP/1.1\r\nHost: a\r\n"
      "Content-Length: " +
      std::to_string(kAsk.size()) + "\r\n\r\n" + kAsk +
      "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(ann.answer(), HasSubstr("ok\n"));
  EXPECT_THAT(ann.answer(), HasSubstr(kAnswer));
  EXPECT_THAT(ann.answer(), HasSubstr(R"("id":"m")"));
}

TEST_F(GatewayTest, PassesAStreamAsItComesAndHidesTheUsageItAskedFor) {
  server_.respond({});
  start();
  Client ann = client();
  ann.post(kAskStream);
  const auto exchange = server_.take();
  ASSERT_TRUE(exchange);
  EXPECT_THAT(exchange->request().body, HasSubstr(R"("include_usage":true)"));
  begin_stream(*exchange);
  exchange->write(kTokenEvent);
  EXPECT_THAT(ann.read_until(kTokenEvent), HasSubstr("text/event-stream")) << "before the next";
  exchange->write(kTokenEvent + kUsageEvent + event("[DONE]"));
  exchange->finish();
  const std::string rest = ann.read_until("0\r\n\r\n");
  EXPECT_THAT(rest, HasSubstr("[DONE]"));
  EXPECT_THAT(rest, Not(HasSubstr("prompt_tokens")));
  EXPECT_THAT(ann.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").answer(), HasSubstr("ok"))
      << "the connection goes on";
}

TEST_F(GatewayTest, AStreamThatBreaksOffEndsInOneError) {
  server_.respond([](HttpExchange& exchange) {
    begin_stream(exchange);
    exchange.write(kTokenEvent);
    exchange.abort();
  });
  start();
  const std::string all = client().post(kAskStream).rest();
  if (all.find("HTTP/1.1 200") == 0) {
    EXPECT_THAT(all, HasSubstr("upstream_cut"));
    EXPECT_THAT(all, HasSubstr("\r\n0\r\n\r\n"));
  }
  EXPECT_EQ(all.find("HTTP/1.1", 1), std::string::npos) << "one answer";
  expect_metric(R"(berth_gateway_requests_total{tenant="ann",model="m",outcome="failed"} 1)");
}

TEST_F(GatewayTest, HoldsRequestsWhileAModelStarts) {
  server_.healthy = false;
  start();
  Client ann = client();
  ann.post(kAsk);
  expect_metric(R"(berth_gateway_waiting_requests{model="m"} 1)");
  server_.healthy = true;
  EXPECT_THAT(ann.answer(), HasSubstr(kAnswer));
}

TEST_F(GatewayTest, SaysWhenNoServerCameInTime) {
  server_.healthy = false;
  start([](GatewayOptions& o) { o.dispatch.start_limit = Duration::milliseconds(50); });
  const std::string answer = client().post(kAsk).answer();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: "));
  EXPECT_THAT(answer, HasSubstr(R"("code":"start_limit")"));
}

TEST_F(GatewayTest, AsksAnotherServerWhereNothingCame) {
  FakeServer broken;
  broken.respond([](HttpExchange& exchange) { exchange.send(json(503, "{}")); });
  start([&](GatewayOptions& o) { o.upstreams.emplace_back("m", broken.upstream()); });
  expect_metric(R"(berth_gateway_ready_replicas{model="m"} 2)");
  Client ann = client();
  for (int i = 0; i < 6; ++i) EXPECT_THAT(ann.post(kAsk).answer(), StartsWith("HTTP/1.1 200")) << i;
  EXPECT_FALSE(broken.bodies().empty());
}

TEST_F(GatewayTest, GivesUpAfterThreeAttempts) {
  server_.respond([](HttpExchange& exchange) { exchange.send(json(503, "{}")); });
  start();
  const std::string answer = client().post(kAsk).answer();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502"));
  EXPECT_EQ(server_.bodies().size(), 3u);
}

TEST_F(GatewayTest, AClientThatLeavesCancelsItsRequestAtTheServer) {
  server_.respond({});
  start([this](GatewayOptions& o) { o.upstreams = {{"m", server_.upstream(1)}}; });
  Client ann = client();
  ann.post(kAskStream);
  const auto exchange = server_.take();
  std::atomic<bool> closed = false;
  exchange->on_close([&closed] { closed = true; });
  Client waiting = client();
  waiting.post(kAsk);
  expect_metric(R"(berth_gateway_waiting_requests{model="m"} 1)");
  ann.close();
  const auto next = server_.take();
  ASSERT_TRUE(next) << "the place is free";
  begin_stream(*exchange);
  const platform::Deadline deadline(kLimit);
  while (!closed && !deadline.passed()) exchange->write("x");
  EXPECT_TRUE(closed);
  next->send(json(200, kAnswer));
  EXPECT_THAT(waiting.answer(), HasSubstr(kAnswer));
  expect_metric(R"(berth_gateway_requests_total{tenant="ann",model="m",outcome="cancelled"} 1)");
}

TEST_F(GatewayTest, OneWhoFloodsDoesNotKeepOthersWaiting) {
  server_.respond({});
  const auto keys = std::filesystem::temp_directory_path() /
                    ("berth-keys-" + std::to_string(::getpid()) + ".json");
  const auto ann_key = client::mint_key("ann", "", clock_.now());
  const auto bob_key = client::mint_key("bob", "", clock_.now());
  ASSERT_TRUE(client::write_key_file(keys, {ann_key.key, bob_key.key}));
  start([&](GatewayOptions& o) {
    o.upstreams = {{"m", server_.upstream(1)}};
    o.key_file = keys;
    o.anonymous_tenant.clear();
  });
  const auto as = [](const client::MintedKey& key) {
    return "Authorization: Bearer " + key.token + "\r\n";
  };
  EXPECT_THAT(client().post(kAsk).answer(), StartsWith("HTTP/1.1 401"));
  std::string wrong = as(ann_key);
  wrong[wrong.size() - 5] = wrong[wrong.size() - 5] == 'A' ? 'B' : 'A';
  EXPECT_THAT(client().post(kAsk, wrong).answer(), StartsWith("HTTP/1.1 401"));

  std::vector<std::unique_ptr<Client>> flood;
  for (int i = 0; i < 10; ++i) {
    flood.push_back(std::make_unique<Client>(gateway_->port()));
    flood.back()->post(R"({"model":"m","prompt":"from ann"})", as(ann_key));
  }
  expect_metric(R"(berth_gateway_waiting_requests{model="m"} 9)");
  Client bob = client();
  bob.post(R"({"model":"m","prompt":"from bob"})", as(bob_key));
  expect_metric(R"(berth_gateway_waiting_requests{model="m"} 10)");
  server_.take()->send(json(200, kAnswer));
  const auto second = server_.take();
  ASSERT_TRUE(second);
  EXPECT_THAT(second->request().body, HasSubstr("from bob")) << "Ann had a turn";
  second->send(json(200, kAnswer));
  for (size_t i = 1; i < flood.size(); ++i) server_.take()->send(json(200, kAnswer));
  EXPECT_THAT(bob.answer(), HasSubstr(kAnswer));
  for (const auto& one : flood) EXPECT_THAT(one->answer(), HasSubstr(kAnswer));

  ASSERT_TRUE(client::write_key_file(keys, {bob_key.key}));
  ASSERT_TRUE(gateway_->reload_keys());
  EXPECT_THAT(client().post(kAsk, as(ann_key)).answer(), StartsWith("HTTP/1.1 401"));
  std::filesystem::remove(keys);
}

TEST_F(GatewayTest, RefusesWhatIsNoRequestInOpenAisWords) {
  start();
  Client ann = client();
  EXPECT_THAT(ann.post("{}").answer(), HasSubstr(R"("type":"invalid_request_error")"));
  EXPECT_THAT(ann.post(R"({"model":"other"})").answer(), HasSubstr("model_not_found"));
  EXPECT_THAT(ann.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").answer(), HasSubstr("404"));
  EXPECT_THAT(ann.post(kAsk, "X-Berth-Deadline: soon\r\n").answer(), StartsWith("HTTP/1.1 400"));
  const std::string smuggled =
      client()
          .send(
              "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
              "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
          .rest();
  EXPECT_THAT(smuggled, StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(smuggled.find("HTTP/1.1", 1), std::string::npos) << "one answer, then the end";
}

TEST_F(GatewayTest, EndsSlowClients) {
  start([](GatewayOptions& o) { o.proxy.header_timeout = Duration::milliseconds(200); });
  EXPECT_THAT(client().send("POST / HTTP/1.1\r\nHost: ").rest(), StartsWith("HTTP/1.1 408"));
  EXPECT_EQ(client().rest(), "") << "silence is answered with the end";
}

TEST_F(GatewayTest, ABodyHasItsOwnTimeHoweverItsHeadCame) {
  start([](GatewayOptions& o) {
    o.proxy.header_timeout = Duration::milliseconds(200);
    o.proxy.body_timeout = kLimit;
  });
  Client ann = client();
  const auto pass = [](Duration time) {
    const platform::Deadline deadline(time);
    while (!deadline.passed()) std::this_thread::yield();
  };
  ann.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\n");
  pass(Duration::milliseconds(50));  // it is read on its own
  ann.send("Content-Length: " + std::to_string(kAsk.size()) + "\r\n\r\n");
  pass(Duration::milliseconds(400));
  EXPECT_THAT(ann.send(kAsk).answer(), StartsWith("HTTP/1.1 200"));
}

TEST_F(GatewayTest, ReadsNoBodyOfWhoHasNoKey) {
  start([](GatewayOptions& o) { o.anonymous_tenant.clear(); });
  const std::string head =
      "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n";
  for (const char* key : {"", "Authorization: Bearer sk-berth-2f0c9d1b7a44-wrong\r\n"}) {
    const std::string answer = client().send(head + key + "\r\n").rest();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 401"));
    EXPECT_THAT(answer, HasSubstr("Connection: close"));
  }
  expect_metric(R"(berth_gateway_rejected_total{reason="no_key"} 2)");
}

TEST_F(GatewayTest, DrainingFinishesWhatWasBegun) {
  server_.respond({});
  start();
  Client ann = client();
  ann.post(kAskStream);
  const auto exchange = server_.take();
  begin_stream(*exchange);
  exchange->write(kTokenEvent);
  ann.read_until(kTokenEvent);
  std::thread drain([this] { EXPECT_EQ(gateway_->drain(kLimit), 0); });
  exchange->write(kTokenEvent + event("[DONE]"));
  exchange->finish();
  EXPECT_THAT(ann.rest(), HasSubstr("[DONE]"));
  ann.close();
  drain.join();
}

TEST_F(GatewayTest, ALargeAnswerToASlowClientArrivesWhole) {
  std::string text(3'000'000, 'x');
  server_.respond([&text](HttpExchange& exchange) {
    begin_stream(exchange);
    for (size_t at = 0; at < text.size(); at += 100'000)
      exchange.write(event(text.substr(at, 100'000)));
    exchange.write(event("[DONE]"));
    exchange.finish();
  });
  start();
  const std::string all = client().post(kAskStream).read_until("[DONE]");
  EXPECT_EQ(std::count(all.begin(), all.end(), 'x'), static_cast<ptrdiff_t>(text.size()) + 1)
      << "one more is in a field's name";
}

TEST(Upstreams, ReadsUrls) {
  EXPECT_EQ(parse_upstream("http://a:8000/v1")->path, "");
  EXPECT_EQ(parse_upstream("http://a:8000/x/v1/")->path, "/x");
  EXPECT_EQ(parse_upstream("https://[::1]")->port, 443);
  EXPECT_EQ(parse_upstream("http://[::1]:9")->host, "::1");
  for (const char* url : {"", "a:1", "ftp://a", "http://", "http://a:0", "http://a:x",
                          "http://a:99999", "http://a b", "http://u@a", "http://[::1"})
    EXPECT_FALSE(parse_upstream(url)) << url;
}

TEST(GatewayMetrics, ThePageIsTheCatalogue) {
  const std::string file = BERTH_SOURCE_DIR "/docs/gateway-metrics.md";
  if (std::getenv("BERTH_WRITE_DOCS") != nullptr) std::ofstream(file) << metrics_page();
  std::stringstream page;
  page << std::ifstream(file).rdbuf();
  EXPECT_EQ(page.str(), metrics_page()) << "BERTH_WRITE_DOCS=1 build/debug/unit_gateway";
}

}  // namespace
}  // namespace berth::gateway
