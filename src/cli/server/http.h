#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/server/endpoint.h"

namespace berth::cli {

struct HttpCall {
  std::string method = "GET";
  std::string target;  ///< path and query
  std::string accept = "application/json";
  std::string content_type;
  std::string body;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::vector<std::string> warnings;  ///< `Warning:` headers, unquoted
};

/// One request to the server of an endpoint, waited for. A command makes few of them, so each has a
/// connection of its own.
class HttpRound {
 public:
  explicit HttpRound(const Endpoint& endpoint);
  ~HttpRound();
  HttpRound(const HttpRound&) = delete;
  HttpRound& operator=(const HttpRound&) = delete;

  /// Fails with kTimeout when nothing came for 60 s.
  Result<HttpAnswer> send(const HttpCall& call);
  /// Hands on a successful answer's body as it comes, until it ends, `on_chunk` answers false or
  /// `interrupt` is called; then the answer's body is empty. An answer that is not 2xx is whole.
  Result<HttpAnswer> stream(const HttpCall& call,
                            const std::function<bool(std::string_view)>& on_chunk);
  /// Ends `stream`. May be called from any thread, also before it began.
  void interrupt();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::cli
