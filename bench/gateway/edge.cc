// The two ends of the gateway's benchmark: a server of event streams, and clients that measure.
//
//   edge serve PORT
//       streams `max_tokens` events; for a body with "idle" one, then silence
//   edge rate HOST PORT RATE SECONDS [TOKEN]
//       open-loop requests of 1 KB; latencies in microseconds
//   edge sse HOST PORT CONNECTIONS SECONDS [TOKEN]
//       events received per second
//   edge idle HOST PORT CONNECTIONS [TOKEN]
//       opens silent streams, prints how many, waits for a line on stdin
//
// One thread, epoll, no library: it must cost less than what it measures.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

void raise_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class Poller {
 public:
  Poller() : fd_(epoll_create1(0)) {}
  void watch(int fd, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (epoll_ctl(fd_, EPOLL_CTL_MOD, fd, &event) != 0 &&
        epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) != 0)
      die("epoll_ctl");
  }
  const std::vector<epoll_event>& wait(double limit_s) {
    events_.resize(512);
    const auto ns = static_cast<int64_t>(std::max(0.0, limit_s) * 1e9);
    const timespec limit{ns / 1'000'000'000, ns % 1'000'000'000};
    const int count = epoll_pwait2(fd_, events_.data(), 512, &limit, nullptr);
    events_.resize(static_cast<size_t>(std::max(0, count)));
    return events_;
  }

 private:
  int fd_;
  std::vector<epoll_event> events_;
};

int connect_to(const char* host, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, host, &address.sin_addr);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    die("connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

std::string request(const std::string& token, const std::string& fields, size_t size) {
  std::string body = R"({"model":"m",)" + fields + R"("prompt":")";
  body += std::string(size > body.size() + 2 ? size - body.size() - 2 : 1, 'p') + "\"}";
  return "POST /v1/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n" +
         (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) die("send");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

// ---- The server ----

struct ServedConnection {
  std::string in, out;
  int64_t left = 0;  ///< events to send
  bool ending = false;
};

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string kEvent = [] {
  const std::string event =
      "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\","
      "\"choices\":[{\"index\":0,\"text\":\" "
      "token\",\"logprobs\":null,\"finish_reason\":null}]}\n\n";
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", event.size());
  return size + event + "\r\n";
}();
const std::string kEnd = [] {
  const std::string done =
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1000}}\n\n"
      "data: [DONE]\n\n";
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", done.size());
  return size + done + "\r\n0\r\n\r\n";
}();

/// Begins the answer to a request that is whole.
void begin(ServedConnection& connection) {
  const size_t head = connection.in.find("\r\n\r\n");
  if (head == std::string::npos) return;
  size_t length = 0;
  constexpr std::string_view kLength = "\ncontent-length: ";
  const auto same = [](char a, char b) { return (a | 0x20) == (b | 0x20); };
  const auto at = std::search(connection.in.begin(), connection.in.end(), kLength.begin(),
                              kLength.end(), same);  // haproxy writes names in small letters
  if (at != connection.in.end()) length = std::strtoul(&*at + kLength.size(), nullptr, 10);
  if (connection.in.size() < head + 4 + length) return;
  const std::string body = connection.in.substr(head + 4, length);
  const bool post = connection.in.starts_with("POST");
  connection.in.erase(0, head + 4 + length);
  if (!post) {
    connection.out += "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    return;
  }
  connection.out += kStreamHead;
  if (body.find("\"idle\"") != std::string::npos) {
    connection.out += kEvent;
    return;
  }
  const size_t tokens = body.find("\"max_tokens\":");
  connection.left = tokens == std::string::npos ? 16 : std::atoll(body.c_str() + tokens + 13);
  connection.ending = true;
}

/// Sends what may be sent now. False: the client left.
bool pump(int fd, ServedConnection& connection) {
  // An event a call, as a server makes a token a step; then others have their turn.
  for (int burst = 0; burst < 4; ++burst) {
    if (connection.out.empty()) {
      if (connection.left > 0) {
        --connection.left;
        connection.out = kEvent;
      } else if (connection.ending) {
        connection.ending = false;
        connection.out = kEnd;
      } else {
        return true;
      }
    }
    const ssize_t sent =
        send(fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN;
    connection.out.erase(0, static_cast<size_t>(sent));
  }
  return true;
}

int serve(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 4096) != 0)
    die("listen");
  Poller poller;
  poller.watch(listener, EPOLLIN);
  std::unordered_map<int, ServedConnection> connections;
  char buffer[65536];
  for (;;) {
    for (const epoll_event& event : poller.wait(10)) {
      const int fd = event.data.fd;
      if (fd == listener) {
        const int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[client];
        poller.watch(client, EPOLLIN);
        continue;
      }
      ServedConnection& connection = connections[fd];
      bool alive = true;
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        const ssize_t size = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (size > 0) {
          connection.in.append(buffer, static_cast<size_t>(size));
          begin(connection);
        }
        alive = size > 0 || (size < 0 && errno == EAGAIN);
      }
      if (alive) alive = pump(fd, connection);
      if (!alive) {
        close(fd);
        connections.erase(fd);
        continue;
      }
      const bool more = !connection.out.empty() || connection.left > 0 || connection.ending;
      poller.watch(fd, EPOLLIN | (more ? EPOLLOUT : 0u));
    }
  }
}

// ---- The clients ----

/// What is due beyond them waits, and its wait counts.
constexpr size_t kMaxConnections = 512;

int rate(const char* host, int port, double per_s, double seconds, const std::string& token) {
  const std::string bytes = request(token, "", 1024);
  Poller poller;
  struct Busy {
    double due_s;
    size_t received = 0;
  };
  std::vector<int> idle;
  std::unordered_map<int, Busy> busy;
  std::vector<double> latencies;
  for (int i = 0; i < 64; ++i) {
    idle.push_back(connect_to(host, port));
    poller.watch(idle.back(), EPOLLIN);
  }
  char buffer[65536];
  const auto start = Clock::now();
  int64_t sent = 0;
  const auto total = static_cast<int64_t>(per_s * seconds);
  while (sent < total || !busy.empty()) {
    double now = seconds_since(start);
    if (now > seconds + 10) break;
    while (sent < total && static_cast<double>(sent) / per_s <= now) {
      if (idle.empty()) {
        if (busy.size() >= kMaxConnections) break;
        idle.push_back(connect_to(host, port));
        poller.watch(idle.back(), EPOLLIN);
      }
      const int fd = idle.back();
      idle.pop_back();
      // Counted from when it was due: a server that lags is not let off.
      busy[fd] = {static_cast<double>(sent) / per_s};
      send_all(fd, bytes);
      ++sent;
    }
    now = seconds_since(start);
    const double due = static_cast<double>(sent) / per_s - now;
    const double next = sent < total && busy.size() < kMaxConnections ? due : 1;
    for (const epoll_event& event : poller.wait(next)) {
      const int fd = event.data.fd;
      const ssize_t size = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
      const auto found = busy.find(fd);
      if (size < 0 && errno == EAGAIN) continue;
      if (size <= 0 && found != busy.end()) die("an answer ended too soon");
      if (found == busy.end()) {
        std::fprintf(stderr, "%zd bytes nobody asked for: %.*s\n", size,
                     static_cast<int>(std::max<ssize_t>(size, 0)), buffer);
        return 1;
      }
      if (found->second.received == 0 && std::strncmp(buffer, "HTTP/1.1 200", 12) != 0) {
        std::fwrite(buffer, 1, static_cast<size_t>(size), stderr);
        return 1;
      }
      found->second.received += static_cast<size_t>(size);
      // Answers are of one read or two: the body's last byte is the end of its object.
      if (buffer[size - 1] != '}') continue;
      latencies.push_back(seconds_since(start) - found->second.due_s);
      busy.erase(found);
      idle.push_back(fd);
    }
  }
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](double share) {
    return latencies[static_cast<size_t>(share * static_cast<double>(latencies.size() - 1))] * 1e6;
  };
  std::printf("{\"requests\": %zu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f}\n",
              latencies.size(), at(0.5), at(0.9), at(0.99));
  return 0;
}

int sse(const char* host, int port, int connections, double seconds, const std::string& token) {
  const std::string bytes = request(token, R"("stream":true,"max_tokens":1000,)", 256);
  Poller poller;
  for (int i = 0; i < connections; ++i) {
    const int fd = connect_to(host, port);
    send_all(fd, bytes);
    poller.watch(fd, EPOLLIN);
  }
  std::vector<char> buffer(size_t{256} << 10);
  int64_t events = 0, streams = 0;
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    for (const epoll_event& event : poller.wait(1)) {
      const ssize_t size = recv(event.data.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size <= 0) die("a stream ended too soon");
      const std::string_view text(buffer.data(), static_cast<size_t>(size));
      for (size_t pos = 0; (pos = text.find("data: {", pos)) != text.npos; pos += 7) ++events;
      if (text.ends_with("0\r\n\r\n")) {
        ++streams;
        send_all(event.data.fd, bytes);
      }
    }
  }
  std::printf("{\"events_per_s\": %.0f, \"streams\": %ld}\n",
              static_cast<double>(events) / seconds_since(start), static_cast<long>(streams));
  return 0;
}

int idle(const char* host, int port, int connections, const std::string& token) {
  const std::string bytes = request(token, R"("stream":true,"user":"idle",)", 256);
  char buffer[4096];
  int open = 0;
  for (int i = 0; i < connections; ++i) {
    const int fd = connect_to(host, port);
    send_all(fd, bytes);
    const ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    open += size > 0 && std::strncmp(buffer, "HTTP/1.1 200", 12) == 0 ? 1 : 0;
  }
  std::printf("{\"open\": %d}\n", open);
  std::fflush(stdout);
  std::getchar();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  raise_limit();
  const std::string mode = argc > 1 ? argv[1] : "";
  const auto text = [&](int i) { return argc > i ? std::string(argv[i]) : std::string(); };
  if (mode == "serve" && argc > 2) return serve(std::atoi(argv[2]));
  if (argc > 4 && mode == "idle")
    return idle(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), text(5));
  if (argc > 5 && mode == "rate")
    return rate(argv[2], std::atoi(argv[3]), std::atof(argv[4]), std::atof(argv[5]), text(6));
  if (argc > 5 && mode == "sse")
    return sse(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::atof(argv[5]), text(6));
  std::fprintf(stderr, "edge serve|rate|sse|idle ...; the file's first lines say how\n");
  return 2;
}
