#include "gateway/http/transport.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace berth::gateway {

void Transport::FreeTls::operator()(SSL* tls) const {
  SSL_free(tls);
}

Transport Transport::accept_tls(int fd, SSL_CTX* context) {
  Transport transport(fd);
  transport.tls_.reset(SSL_new(context));
  SSL* tls = transport.tls_.get();
  SSL_set_fd(tls, fd);
  SSL_set_accept_state(tls);
  return transport;
}

Transport Transport::connect_tls(int fd, SSL_CTX* context, const std::string& server_name) {
  Transport transport(fd);
  transport.tls_.reset(SSL_new(context));
  SSL* tls = transport.tls_.get();
  SSL_set_fd(tls, fd);
  SSL_set_tlsext_host_name(tls, server_name.c_str());
  SSL_set1_host(tls, server_name.c_str());
  SSL_set_connect_state(tls);
  return transport;
}

Transport::Moved Transport::tls_result(int result) {
  if (result > 0) return {Status::kOk, static_cast<size_t>(result)};
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {Status::kWantRead};
    case SSL_ERROR_WANT_WRITE:
      return {Status::kWantWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {Status::kEnd};
    default:
      return {Status::kError};
  }
}

Transport::Moved Transport::read(std::span<char> buffer) {
  if (tls_) {
    ERR_clear_error();
    return tls_result(SSL_read(tls_.get(), buffer.data(), static_cast<int>(buffer.size())));
  }
  const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size > 0) return {Status::kOk, static_cast<size_t>(size)};
  if (size == 0) return {Status::kEnd};
  if (errno == EAGAIN || errno == EINTR) return {Status::kWantRead};
  return {Status::kError};
}

Transport::Moved Transport::write(std::span<const std::string_view> parts) {
  if (tls_) {
    // TLS makes a record of each part: small ones go together.
    size_t total = 0;
    for (const std::string_view part : parts) {
      if (part.empty()) continue;
      ERR_clear_error();
      const Moved moved =
          tls_result(SSL_write(tls_.get(), part.data(), static_cast<int>(part.size())));
      if (moved.status != Status::kOk) return total > 0 ? Moved{Status::kOk, total} : moved;
      total += moved.bytes;
      if (moved.bytes < part.size()) break;
    }
    return {Status::kOk, total};
  }
  constexpr size_t kMaxParts = 64;
  std::array<iovec, kMaxParts> vector;
  size_t count = 0;
  for (const std::string_view part : parts.first(std::min(parts.size(), kMaxParts)))
    if (!part.empty()) vector[count++] = {const_cast<char*>(part.data()), part.size()};
  if (count == 0) return {Status::kOk, 0};
  msghdr message{};
  message.msg_iov = vector.data();
  message.msg_iovlen = count;
  const ssize_t size = ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size >= 0) return {Status::kOk, static_cast<size_t>(size)};
  if (errno == EAGAIN || errno == EINTR) return {Status::kWantWrite};
  return {Status::kError};
}

bool Transport::holds_bytes() const {
  return tls_ != nullptr && SSL_pending(tls_.get()) > 0;
}

void Transport::shut_down() {
  if (tls_) SSL_shutdown(tls_.get());
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace berth::gateway
