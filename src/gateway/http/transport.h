#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <openssl/types.h>

namespace berth::gateway {

/// Bytes over a socket that does not block, with TLS or without. It owns neither the socket nor the
/// wish to wait: when it says `kWantRead` or `kWantWrite`, the caller waits for that and tries
/// again.
class Transport {
 public:
  enum class Status { kOk, kWantRead, kWantWrite, kEnd, kError };
  struct Moved {
    Status status = Status::kOk;
    size_t bytes = 0;  ///< of kOk: at least one
  };

  /// Plain.
  explicit Transport(int fd) : fd_(fd) {}
  /// As a TLS server, or, with a name to check the certificate against, a client.
  static Transport accept_tls(int fd, SSL_CTX* context);
  static Transport connect_tls(int fd, SSL_CTX* context, const std::string& server_name);

  Moved read(std::span<char> buffer);
  /// Sends as much as goes of the parts, in order.
  Moved write(std::span<const std::string_view> parts);
  /// More may be read although the socket has nothing: TLS holds it.
  bool holds_bytes() const;
  bool is_tls() const { return tls_ != nullptr; }
  /// Says that no more comes; not waited for.
  void shut_down();

 private:
  struct FreeTls {
    void operator()(SSL* tls) const;
  };
  Moved tls_result(int result);

  int fd_;
  std::unique_ptr<SSL, FreeTls> tls_;
};

}  // namespace berth::gateway
