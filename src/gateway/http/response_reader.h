#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace berth::gateway {

/// The head of a server's answer, as far as the gateway passes it on.
struct AnswerHead {
  int status = 0;
  std::string content_type;
  std::string retry_after;
  bool explicit_end = false;  ///< Content-Length or chunked: a cut answer can be told from a whole
};

/// Reads one HTTP/1.1 answer from bytes as they come.
class ResponseReader {
 public:
  /// Gets the body without its framing, in pieces.
  using OnBody = std::function<void(std::string_view)>;

  ResponseReader();
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  /// How many bytes were used; the rest is to be fed again with more behind it. False from
  /// `good()` after bytes that are no answer.
  size_t feed(std::string_view bytes, const OnBody& on_body);
  /// The connection ended: true where the answer is whole all the same.
  bool finish();

  bool begun() const { return begun_; }  ///< some byte of the answer came
  bool good() const { return good_; }
  bool head_done() const { return head_done_; }
  bool done() const { return done_; }
  bool keep_alive() const { return keep_alive_; }
  const AnswerHead& head() const { return head_; }
  void reset();

 private:
  class Parser;

  AnswerHead head_;
  bool begun_ = false;
  bool good_ = true;
  bool head_done_ = false;
  bool done_ = false;
  bool keep_alive_ = false;
  const OnBody* on_body_ = nullptr;  ///< while `feed` runs
  std::unique_ptr<Parser> parser_;
};

}  // namespace berth::gateway
