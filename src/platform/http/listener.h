#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "platform/process.h"

namespace berth::platform {

/// A TCP address and port that nobody else can have any more. Who connects waits until a server
/// takes it over.
struct TcpListener {
  Fd socket;
  bool v6 = false;
  uint16_t port = 0;

  /// `127.0.0.1:80`, `[::1]:80`: how a URL names what `open` is given.
  static std::string authority(const std::string& address, uint16_t port);

  /// `port` 0 picks a free one. kInvalid where this machine has no such address, else kUnavailable.
  static Result<TcpListener> open(const std::string& address, uint16_t port);
};

}  // namespace berth::platform
