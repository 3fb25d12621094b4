#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/server/endpoint.h"
#include "platform/http/client.h"

namespace berth::cli {

struct HttpCall {
  std::string method = "GET";
  std::string target;  ///< path and query
  std::string accept = "application/json";
  std::string content_type = {};
  std::string body = {};
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::vector<std::string> warnings;  ///< `Warning:` headers
};

/// Requests to the server of an endpoint, waited for. `send` and `interrupt` may be called from any
/// thread; one `stream` runs at a time.
class HttpRound {
 public:
  explicit HttpRound(const Endpoint& endpoint);

  /// Fails with kTimeout when no answer came for 60 s.
  Result<HttpAnswer> send(const HttpCall& call);
  /// Hands on a successful answer's body as it comes, on a thread of the client, until it ends,
  /// `on_chunk` answers false or `interrupt` is called; then the answer's body is empty. An answer
  /// that is not 2xx is whole. Its status is 0 when it was interrupted before it began.
  Result<HttpAnswer> stream(const HttpCall& call, std::function<bool(std::string_view)> on_chunk);
  /// Ends the stream that runs, and every later one at once.
  void interrupt();

 private:
  Result<platform::HttpRequest> prepare(const HttpCall& call);
  Error explain(Error error) const;

  const Endpoint endpoint_;
  std::unique_ptr<platform::HttpClient> client_;  ///< made by the first request
  std::mutex mutex_;
  std::condition_variable changed_;
  bool interrupted_ = false;
};

}  // namespace berth::cli
