#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace berth::gateway {

struct RequestLimits {
  size_t max_header_bytes = size_t{16} << 10;
  size_t max_body_bytes = size_t{8} << 20;
};

/// A request, as far as the gateway cares.
struct IncomingRequest {
  std::string method;
  std::string target;
  std::string authorization;
  std::string deadline;    ///< X-Berth-Deadline
  std::string priority;    ///< X-Berth-Priority
  std::string request_id;  ///< X-Request-Id
  std::string trace;       ///< traceparent
  std::string body;
  bool keep_alive = true;
  bool expects_continue = false;
};

/// Why a request cannot be read, as an HTTP status and a sentence. After it the connection ends:
/// where the next request begins is not known any more.
struct HttpRefusal {
  int status = 400;
  std::string what;
};

/// Reads HTTP/1.1 requests from bytes as they come. Strict, for what two readers could understand
/// in different ways is how requests are smuggled: one Host, one Content-Length of digits alone or
/// `Transfer-Encoding: chunked` alone, never both; no folded lines, no line that ends with LF
/// alone.
class RequestReader {
 public:
  explicit RequestReader(const RequestLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  enum class State { kHead, kBody, kDone, kRefused };

  /// How many bytes were used; the rest is to be fed again, with more behind it. Uses everything
  /// unless it is inside a line of the head, or done.
  size_t feed(std::string_view bytes);
  State state() const { return state_; }
  bool begun() const { return begun_; }  ///< some byte of the request came
  const HttpRefusal& refusal() const { return refusal_; }
  IncomingRequest& request() { return request_; }
  const IncomingRequest& request() const { return request_; }
  /// For the next request of the connection.
  void reset();

 private:
  class Parser;

  void refuse(int status, std::string what);

  const RequestLimits limits_;
  IncomingRequest request_;
  HttpRefusal refusal_;
  State state_ = State::kHead;
  bool begun_ = false;
  std::unique_ptr<Parser> parser_;
};

}  // namespace berth::gateway
