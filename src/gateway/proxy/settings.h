#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/types.h>

#include "base/time.h"
#include "gateway/http/request_reader.h"
#include "gateway/keys/key_ring.h"
#include "gateway/traffic/traffic.h"

namespace berth::gateway {

/// Limits on what clients and servers may do. Durations bound silence, not the length of a stream.
struct ProxySettings {
  RequestLimits limits;
  size_t max_connections = 16'384;
  size_t max_answer_bytes = size_t{32} << 20;  ///< of one that is not streamed
  int max_attempts = 3;
  Duration header_timeout = Duration::seconds(10);
  Duration body_timeout = Duration::seconds(30);
  Duration idle_timeout = Duration::seconds(75);   ///< between two requests of a client
  Duration write_timeout = Duration::seconds(60);  ///< a client that takes nothing
  Duration connect_timeout = Duration::seconds(3);
  Duration first_byte_timeout = Duration::minutes(5);
  Duration stream_timeout = Duration::minutes(1);  ///< between two pieces of an answer
};

/// Requests that were turned away before they were anybody's.
enum class Rejected { kBadRequest, kNoKey, kNoModel, kNotFound, kTooManyConnections };
inline constexpr std::array<std::string_view, 5> kRejectedNames = {
    "bad_request", "no_key", "no_model", "not_found", "too_many_connections"};

struct FreeTlsContext {
  void operator()(SSL_CTX* context) const;
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeTlsContext>;

/// What the workers share. Everything in it may be used from any thread and outlives them.
struct ProxyShared {
  ProxySettings settings;
  Traffic* traffic = nullptr;
  KeyRing* keys = nullptr;
  const Clock* clock = nullptr;
  /// Requests without a key are this tenant's; null: they are refused.
  const Traffic::Tenant* anonymous = nullptr;
  TlsContext server_tls;  ///< null: plain
  TlsContext client_tls;
  int access_log = -1;  ///< a file descriptor; negative: none
  std::atomic<bool> draining = false;
  std::atomic<int64_t> connections = 0;
  std::array<std::atomic<int64_t>, kRejectedNames.size()> rejected{};

  std::function<std::string()> metrics;
  std::function<bool()> ready;
  /// A replica did not answer as it should.
  std::function<void(const std::string& model, core::ReplicaId)> suspect;
};

}  // namespace berth::gateway
