#include "gateway/proxy/client_connection.h"

#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>

#include "gateway/proxy/worker.h"

namespace berth::gateway {

namespace asio = boost::asio;
using ErrorCodeB = boost::system::error_code;

namespace {

constexpr size_t kMaxPipelined = size_t{64} << 10;
constexpr size_t kHighWater = size_t{256} << 10;
constexpr Duration kLinger = Duration::seconds(2);

Transport make_transport(int fd, SSL_CTX* tls) {
  return tls != nullptr ? Transport::accept_tls(fd, tls) : Transport(fd);
}

}  // namespace

ClientConnection::ClientConnection(Worker& worker, int fd, bool loopback)
    : worker_(worker),
      shared_(worker.shared()),
      socket_(worker.io()),
      transport_(make_transport(fd, worker.shared().server_tls.get())),
      loopback_(loopback),
      reader_(worker.shared().settings.limits) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ErrorCodeB ignored;
  socket_.assign(address.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), fd,
                 ignored);
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

ClientConnection::~ClientConnection() = default;

void ClientConnection::start() {
  deadline_ = Worker::now() + shared_.settings.header_timeout;
  wait_read();
}

void ClientConnection::close() {
  if (state_ == State::kClosed) return;
  const auto self = shared_from_this();
  if (exchange_) on_client_left();
  state_ = State::kClosed;
  ErrorCodeB ignored;
  socket_.close(ignored);
  shared_.connections.fetch_sub(1, std::memory_order_relaxed);
  worker_.remove(*this);
}

void ClientConnection::drain() {
  draining_ = true;
  if (state_ == State::kReading && !reader_.begun() && out_.empty()) close();
}

void ClientConnection::on_tick(Time now) {
  if (now >= write_deadline_) {
    close();
  } else if (state_ == State::kForwarding && exchange_->connection &&
             !exchange_->connection->connected() &&
             now - exchange_->sent >= shared_.settings.connect_timeout) {
    exchange_->connection->abandon();
    retry_or_fail();
  } else if (now >= deadline_) {
    deadline_ = Time{INT64_MAX};
    switch (state_) {
      case State::kReading:
        if (reader_.begun()) {
          refuse_bytes({408, "it did not come in time"});
        } else {
          close();
        }
        break;
      case State::kForwarding:
        if (exchange_->connection) exchange_->connection->abandon();
        shared_.suspect(exchange_->model->name, exchange_->dispatch.replica);
        fail_exchange(core::Outcome::kFailed, upstream_silent(exchange_->scan.model));
        break;
      case State::kStreaming:
        exchange_->connection->abandon();
        end_stream(false);
        break;
      case State::kLingering:
        close();
        break;
      case State::kWaiting:
      case State::kClosed:
        break;
    }
  }
}

void ClientConnection::wait_read() {
  if (state_ == State::kClosed || std::exchange(reading_, true)) return;
  socket_.async_wait(asio::ip::tcp::socket::wait_read,
                     [self = shared_from_this()](const ErrorCodeB& error) {
                       self->reading_ = false;
                       if (error || self->state_ == State::kClosed) return;
                       self->on_readable();
                     });
}

void ClientConnection::wait_write() {
  if (std::exchange(writing_, true)) return;
  socket_.async_wait(asio::ip::tcp::socket::wait_write,
                     [self = shared_from_this()](const ErrorCodeB& error) {
                       self->writing_ = false;
                       if (error || self->state_ == State::kClosed) return;
                       self->flush_output();
                     });
}

void ClientConnection::on_readable() {
  const std::span<char> buffer = worker_.buffer();
  for (;;) {
    const Transport::Moved moved = transport_.read(buffer);
    if (moved.status == Transport::Status::kWantRead) break;
    if (moved.status == Transport::Status::kWantWrite) {
      wait_write();
      break;
    }
    if (moved.status != Transport::Status::kOk) {
      close();
      return;
    }
    const std::string_view bytes(buffer.data(), moved.bytes);
    if (state_ == State::kReading && in_.empty() && !processing_) {
      read_request(bytes);
      process_input();
    } else if (state_ != State::kLingering) {
      in_.append(bytes);
      if (state_ == State::kReading) process_input();
      // A client that sends ahead of its answers is read no further than this.
      if (in_.size() > kMaxPipelined) return;
    }
    if (state_ == State::kClosed) return;
    if (!transport_.is_tls() && moved.bytes < buffer.size()) break;
  }
  wait_read();
}

void ClientConnection::process_input() {
  if (processing_) return;
  processing_ = true;
  while (state_ == State::kReading && !in_.empty()) {
    const std::string bytes = std::exchange(in_, {});
    read_request(bytes);
    if (state_ == State::kReading && in_.size() == bytes.size()) break;  // it needs more
  }
  processing_ = false;
}

void ClientConnection::read_request(std::string_view bytes) {
  const bool fresh = !reader_.begun();
  const bool had_head = reader_.state() == RequestReader::State::kBody;
  const size_t used = reader_.feed(bytes);
  in_.assign(bytes.substr(used));
  const ProxySettings& settings = shared_.settings;
  switch (reader_.state()) {
    case RequestReader::State::kHead:
      if (fresh && reader_.begun()) deadline_ = Worker::now() + settings.header_timeout;
      break;
    case RequestReader::State::kBody:
      if (had_head) break;
      deadline_ = Worker::now() + settings.body_timeout;
      // Who has no key cannot make it keep a body.
      if (!has_key()) return refuse_unread(Rejected::kNoKey, no_key());
      if (reader_.request().expects_continue) {
        const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        send(std::span(&go_on, 1));
      }
      break;
    case RequestReader::State::kDone: {
      deadline_ = Time{INT64_MAX};
      keep_alive_ = reader_.request().keep_alive;
      const bool outer = std::exchange(processing_, true);
      handle_request();
      processing_ = outer;
      break;
    }
    case RequestReader::State::kRefused:
      refuse_bytes(reader_.refusal());
      break;
  }
}

void ClientConnection::refuse_bytes(const HttpRefusal& refusal) {
  refuse_unread(Rejected::kBadRequest, unreadable(refusal.status, refusal.what));
}

void ClientConnection::refuse_unread(Rejected kind, const ApiError& error) {
  shared_.rejected[static_cast<size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
  keep_alive_ = false;
  send_answer(error.status, "application/json", error.body());
  if (state_ == State::kReading) linger();
}

void ClientConnection::finish_request() {
  if (state_ == State::kClosed) return;
  reader_.reset();
  if (!keep_alive_ || draining_ || shared_.draining.load(std::memory_order_relaxed)) {
    linger();
    return;
  }
  state_ = State::kReading;
  deadline_ = Worker::now() + shared_.settings.idle_timeout;
  wait_read();
  process_input();
}

void ClientConnection::linger() {
  // Closing with bytes unread would make the kernel drop what the client has not read yet.
  if (state_ == State::kClosed) return;
  state_ = State::kLingering;
  in_.clear();
  if (out_.empty()) {
    deadline_ = Worker::now() + kLinger;
    transport_.shut_down();
  } else {
    deadline_ = Time{INT64_MAX};  // first it gets what it is owed
  }
  wait_read();
}

void ClientConnection::send_answer(int status, std::string_view content_type, std::string_view body,
                                   int retry_after_s) {
  fmt::memory_buffer head;
  const auto out = std::back_inserter(head);
  const bool last = !keep_alive_ || draining_ || shared_.draining.load(std::memory_order_relaxed);
  fmt::format_to(out, "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n", status,
                 reason_phrase(status), content_type, body.size());
  if (retry_after_s > 0) fmt::format_to(out, "Retry-After: {}\r\n", retry_after_s);
  if (exchange_) fmt::format_to(out, "X-Request-Id: {}\r\n", request_id(exchange_->id));
  fmt::format_to(out, "{}\r\n", last ? "Connection: close\r\n" : "");
  const std::string_view parts[] = {{head.data(), head.size()}, body};
  send(parts);
}

void ClientConnection::send(std::span<const std::string_view> parts) {
  if (state_ == State::kClosed) return;
  size_t sent = 0;
  if (out_.empty()) {
    const Transport::Moved moved = transport_.write(parts);
    if (moved.status == Transport::Status::kOk) {
      sent = moved.bytes;
    } else if (moved.status == Transport::Status::kError ||
               moved.status == Transport::Status::kEnd) {
      // Later: whoever called is in the middle of something.
      asio::post(worker_.io(), [self = shared_from_this()] { self->close(); });
      return;
    }
  }
  for (const std::string_view part : parts) {
    const size_t skip = std::min(sent, part.size());
    out_.append(part.substr(skip));
    sent -= skip;
  }
  if (out_.empty()) return;
  if (write_deadline_.ns == INT64_MAX)
    write_deadline_ = Worker::now() + shared_.settings.write_timeout;
  wait_write();
  if (out_.size() > kHighWater && exchange_ && exchange_->connection)
    exchange_->connection->pause();
}

void ClientConnection::flush_output() {
  if (!out_.empty()) {
    const std::string_view all = out_;
    const Transport::Moved moved = transport_.write(std::span(&all, 1));
    if (moved.status == Transport::Status::kOk) {
      out_.erase(0, moved.bytes);
      write_deadline_ = Worker::now() + shared_.settings.write_timeout;
    } else if (moved.status == Transport::Status::kError ||
               moved.status == Transport::Status::kEnd) {
      close();
      return;
    }
  }
  if (!out_.empty()) {
    wait_write();
    return;
  }
  out_.shrink_to_fit();
  write_deadline_ = Time{INT64_MAX};
  if (state_ == State::kLingering) linger();
  if (exchange_ && exchange_->connection) exchange_->connection->resume();
}

}  // namespace berth::gateway
