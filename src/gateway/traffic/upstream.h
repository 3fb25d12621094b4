#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace berth::gateway {

/// A server of a model. Nobody changes it after it was made.
struct Upstream {
  std::string url;  ///< as given, for logs and messages
  std::string host = {};
  uint16_t port = 80;
  bool tls = false;
  std::string path = {};       ///< before `/v1/...`; empty or `/prefix`
  std::string authority = {};  ///< for the Host field
  int max_in_flight = 64;
  std::string health_path = {};  ///< empty: the gateway's
  std::string pod = {};          ///< `namespace/name`; empty: not known

  uint64_t identity() const;
  /// What connections may be shared by.
  std::string address() const { return host + ":" + std::to_string(port) + (tls ? "s" : ""); }
};

/// Reads `http://host:port[/prefix]`; a `/v1` at the end, as OpenAI clients spell a base URL, is
/// dropped.
Result<Upstream> parse_upstream(std::string_view url);

}  // namespace berth::gateway
