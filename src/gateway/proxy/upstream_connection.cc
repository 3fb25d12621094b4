#include "gateway/proxy/upstream_connection.h"

#include <utility>

#include "gateway/proxy/worker.h"

namespace berth::gateway {

namespace asio = boost::asio;
using ErrorCodeB = boost::system::error_code;

UpstreamConnection::UpstreamConnection(Worker& worker, std::shared_ptr<const Upstream> upstream)
    : worker_(worker), upstream_(std::move(upstream)), socket_(worker.io()) {}

UpstreamConnection::~UpstreamConnection() = default;

void UpstreamConnection::start(Owner& owner, const Parts& request) {
  owner_ = &owner;
  unsent_ = request;
  reader_.reset();
  leftover_.clear();
  paused_ = false;
  ++uses_;
  if (connected_) {
    write();
  } else {
    connect();
  }
}

void UpstreamConnection::connect() {
  ErrorCodeB error;
  const auto address = asio::ip::make_address(upstream_->host, error);
  if (!error) {
    connect_to({address, upstream_->port});
    return;
  }
  resolver_.emplace(worker_.io());
  resolver_->async_resolve(
      upstream_->host, std::to_string(upstream_->port),
      [self = shared_from_this()](const ErrorCodeB& unresolved,
                                  const asio::ip::tcp::resolver::results_type& found) {
        if (!self->open_) return;
        if (unresolved || found.empty()) {
          self->end(Ending::kUnreachable);
        } else {
          self->connect_to(found.begin()->endpoint());
        }
      });
}

void UpstreamConnection::connect_to(const asio::ip::tcp::endpoint& address) {
  ErrorCodeB error;
  socket_.open(address.protocol(), error);
  if (!error) socket_.non_blocking(true, error);
  if (!error) socket_.set_option(asio::ip::tcp::no_delay(true), error);
  if (error) {
    asio::post(worker_.io(), [self = shared_from_this()] { self->end(Ending::kUnreachable); });
    return;
  }
  socket_.async_connect(address, [self = shared_from_this()](const ErrorCodeB& failed) {
    self->on_connected(failed);
  });
}

void UpstreamConnection::on_connected(const ErrorCodeB& error) {
  if (!open_) return;
  if (error) {
    end(Ending::kUnreachable);
    return;
  }
  connected_ = true;
  const int fd = socket_.native_handle();
  if (upstream_->tls)
    transport_.emplace(
        Transport::connect_tls(fd, worker_.shared().client_tls.get(), upstream_->host));
  else
    transport_.emplace(fd);
  write();
}

void UpstreamConnection::write() {
  const auto self = shared_from_this();
  for (;;) {
    size_t first = 0;
    while (first < unsent_.size() && unsent_[first].empty()) ++first;
    if (first == unsent_.size()) break;
    const Transport::Moved moved = transport_->write(std::span(unsent_).subspan(first));
    if (moved.status == Transport::Status::kWantWrite) {
      wait_write();
      break;
    }
    if (moved.status == Transport::Status::kWantRead)
      break;  // the handshake; `on_readable` goes on
    if (moved.status != Transport::Status::kOk) {
      end(Ending::kUnreachable);
      return;
    }
    size_t sent = moved.bytes;
    for (; first < unsent_.size() && sent > 0; ++first) {
      const size_t size = std::min(sent, unsent_[first].size());
      unsent_[first].remove_prefix(size);
      sent -= size;
    }
  }
  wait_read();
}

void UpstreamConnection::wait_write() {
  if (std::exchange(writing_, true)) return;
  socket_.async_wait(asio::ip::tcp::socket::wait_write,
                     [self = shared_from_this()](const ErrorCodeB& error) {
                       self->writing_ = false;
                       if (!self->open_ || error || self->owner_ == nullptr) return;
                       self->write();
                     });
}

void UpstreamConnection::wait_read() {
  if (!open_ || paused_ || std::exchange(reading_, true)) return;
  socket_.async_wait(asio::ip::tcp::socket::wait_read,
                     [self = shared_from_this()](const ErrorCodeB& error) {
                       self->reading_ = false;
                       if (!self->open_ || error) return;
                       self->on_readable();
                     });
}

void UpstreamConnection::resume() {
  if (!std::exchange(paused_, false)) return;
  if (transport_ && transport_->holds_bytes()) {
    asio::post(worker_.io(), [self = shared_from_this()] {
      if (self->open_ && !self->reading_ && !self->paused_) self->on_readable();
    });
  } else {
    wait_read();
  }
}

void UpstreamConnection::on_readable() {
  const auto self = shared_from_this();
  const std::span<char> buffer = worker_.buffer();
  for (;;) {
    const Transport::Moved moved = transport_->read(buffer);
    if (moved.status == Transport::Status::kWantRead) break;
    if (moved.status == Transport::Status::kWantWrite) {
      wait_write();
      break;
    }
    if (owner_ == nullptr) {  // idle: closed by the server, or it speaks unasked
      close();
      return;
    }
    if (moved.status != Transport::Status::kOk) {
      const bool whole = moved.status == Transport::Status::kEnd && reader_.finish();
      end(whole ? Ending::kComplete : reader_.begun() ? Ending::kCut : Ending::kUnreachable);
      return;
    }
    if (!consume({buffer.data(), moved.bytes})) return;
    if (paused_) return;
    // Less than was asked for: nothing more is there. (TLS gives one record at a time.)
    if (!transport_->is_tls() && moved.bytes < buffer.size()) break;
  }
  if (transport_->is_tls() && owner_ != nullptr) {
    bool unsent = false;
    for (const std::string_view part : unsent_) unsent = unsent || !part.empty();
    if (unsent && !writing_) {
      write();
      return;
    }
  }
  wait_read();
}

bool UpstreamConnection::consume(std::string_view bytes) {
  std::string held;
  if (!leftover_.empty()) {
    held = std::exchange(leftover_, {}).append(bytes);
    bytes = held;
  }
  bool told = reader_.head_done();
  const auto tell_head = [&] {
    if (!std::exchange(told, true) && owner_ != nullptr) owner_->on_head(reader_.head());
  };
  const size_t used = reader_.feed(bytes, [&](std::string_view piece) {
    tell_head();
    if (owner_ != nullptr) owner_->on_body(piece);
  });
  if (reader_.head_done() && reader_.good()) tell_head();
  if (owner_ == nullptr) return false;  // it abandoned the answer
  if (!reader_.good()) {
    end(Ending::kCut);
    return false;
  }
  if (reader_.done()) {
    // Bytes behind a whole answer belong to nobody.
    if (used < bytes.size()) connected_ = false;
    end(Ending::kComplete);
    return false;
  }
  leftover_.assign(bytes.substr(used));
  owner_->on_flush();
  return owner_ != nullptr && open_;
}

void UpstreamConnection::end(Ending ending) {
  const auto self = shared_from_this();
  Owner* owner = std::exchange(owner_, nullptr);
  const bool keep = ending == Ending::kComplete && reader_.keep_alive() && connected_ && open_;
  if (owner != nullptr) owner->on_end(ending);
  if (keep) {
    paused_ = false;
    worker_.keep(self);
    wait_read();
  } else {
    close();
  }
}

void UpstreamConnection::abandon() {
  owner_ = nullptr;
  close();
}

void UpstreamConnection::close() {
  if (!std::exchange(open_, false)) return;
  if (resolver_) resolver_->cancel();
  ErrorCodeB ignored;
  socket_.close(ignored);
}

}  // namespace berth::gateway
