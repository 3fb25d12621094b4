#include "gateway/http/request_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <fmt/format.h>

namespace berth::gateway {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using ErrorCode = boost::system::error_code;

constexpr uint64_t kReserveBytes = uint64_t{64} << 10;

bool is_number(beast::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

class RequestReader::Parser final : public http::basic_parser<true> {
 public:
  explicit Parser(RequestReader& reader) : reader_(reader) {
    eager(true);
    header_limit(static_cast<uint32_t>(reader.limits_.max_header_bytes));
    body_limit(reader.limits_.max_body_bytes);
  }

  /// A refusal found while a field was read.
  std::optional<HttpRefusal> refusal;
  std::string_view input;  ///< what is being read; a head is read once it is all there

 private:
  IncomingRequest& request() { return reader_.request_; }

  /// Does the line after that of this field, which lies in `input`, go on with its value?
  bool is_folded(beast::string_view name) const {
    const size_t end = input.find('\n', static_cast<size_t>(name.data() - input.data()));
    return end + 1 < input.size() && (input[end + 1] == ' ' || input[end + 1] == '\t');
  }

  void refuse(int status, std::string what, ErrorCode& error) {
    refusal = HttpRefusal{status, std::move(what)};
    error = http::error::bad_value;
  }

  void on_request_impl(http::verb, beast::string_view method, beast::string_view target,
                       int version, ErrorCode& error) override {
    http_10_ = version < 11;
    request().method.assign(method.data(), method.size());
    request().target.assign(target.data(), target.size());
    if (!target.starts_with('/')) refuse(400, "the target is not a path", error);
  }
  void on_response_impl(int, beast::string_view, int, ErrorCode&) override {}

  void on_field_impl(http::field name, beast::string_view name_text, beast::string_view value,
                     ErrorCode& error) override {
    if (is_folded(name_text)) return refuse(400, "a folded line", error);
    const auto keep = [value](std::string& place) { place.assign(value.data(), value.size()); };
    switch (name) {
      case http::field::host:
        if (std::exchange(host_, true)) refuse(400, "more than one Host", error);
        break;
      case http::field::content_length:
        if (!is_number(value)) return refuse(400, "Content-Length is not a number", error);
        if (std::exchange(length_, true)) return refuse(400, "more than one Content-Length", error);
        if (chunked_) refuse(400, "Content-Length beside Transfer-Encoding", error);
        break;
      case http::field::transfer_encoding:
        if (!beast::iequals(value, "chunked"))
          return refuse(501, "a Transfer-Encoding other than chunked", error);
        if (std::exchange(chunked_, true))
          return refuse(400, "more than one Transfer-Encoding", error);
        if (length_) refuse(400, "Content-Length beside Transfer-Encoding", error);
        break;
      case http::field::content_encoding:
        if (!beast::iequals(value, "identity")) refuse(415, "a compressed body", error);
        break;
      case http::field::upgrade:
        refuse(400, "Upgrade", error);
        break;
      case http::field::authorization:
        if (!request().authorization.empty()) return refuse(400, "more than one key", error);
        keep(request().authorization);
        break;
      case http::field::expect:
        if (!beast::iequals(value, "100-continue")) return refuse(417, "Expect", error);
        request().expects_continue = true;
        break;
      default:
        if (beast::iequals(name_text, "x-berth-deadline")) keep(request().deadline);
        if (beast::iequals(name_text, "x-berth-priority")) keep(request().priority);
        if (beast::iequals(name_text, "x-request-id")) keep(request().request_id);
        if (beast::iequals(name_text, "traceparent")) keep(request().trace);
    }
  }

  void on_header_impl(ErrorCode& error) override {
    if (chunked_ && http_10_) return refuse(400, "chunked in HTTP/1.0", error);
    if (!host_ && !http_10_) return refuse(400, "no Host", error);
    request().keep_alive = keep_alive();
    reader_.state_ = State::kBody;
  }

  void on_body_init_impl(const boost::optional<uint64_t>& size, ErrorCode&) override {
    // What is only announced takes no memory.
    if (size) request().body.reserve(std::min<uint64_t>(*size, kReserveBytes));
  }
  size_t on_body_impl(beast::string_view bytes, ErrorCode&) override {
    request().body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_chunk_header_impl(uint64_t, beast::string_view extensions, ErrorCode& error) override {
    if (!extensions.empty()) refuse(400, "chunk extensions", error);
  }
  size_t on_chunk_body_impl(uint64_t, beast::string_view bytes, ErrorCode&) override {
    request().body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_finish_impl(ErrorCode&) override { reader_.state_ = State::kDone; }

  RequestReader& reader_;
  bool http_10_ = false;
  bool host_ = false;
  bool length_ = false;
  bool chunked_ = false;
};

RequestReader::RequestReader(const RequestLimits& limits) : limits_(limits) {}
RequestReader::~RequestReader() = default;

void RequestReader::refuse(int status, std::string what) {
  state_ = State::kRefused;
  refusal_ = {status, std::move(what)};
  parser_.reset();
}

size_t RequestReader::feed(std::string_view bytes) {
  size_t used = 0;
  if (!begun_) {
    // Empty lines before a request are allowed (RFC 9112, 2.2).
    while (bytes.substr(used).starts_with("\r\n")) used += 2;
    if (used == bytes.size() || bytes.substr(used) == "\r") return used;
    begun_ = true;
  }
  if (state_ == State::kDone || state_ == State::kRefused) return used;
  if (!parser_) parser_ = std::make_unique<Parser>(*this);
  while (used < bytes.size() && state_ != State::kDone) {
    ErrorCode error;
    parser_->input = bytes.substr(used);
    const size_t taken =
        parser_->put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
    used += taken;
    if (error == http::error::need_more) break;
    if (error) {
      if (parser_->refusal) {
        refuse(parser_->refusal->status, std::move(parser_->refusal->what));
      } else if (error == http::error::header_limit) {
        refuse(431, fmt::format("the head is larger than {} bytes", limits_.max_header_bytes));
      } else if (error == http::error::body_limit) {
        refuse(413, fmt::format("the body is larger than {} bytes", limits_.max_body_bytes));
      } else {
        refuse(400, error.message());
      }
      break;
    }
    if (taken == 0) break;
  }
  if (state_ == State::kDone) parser_.reset();
  return used;
}

void RequestReader::reset() {
  // Strings keep their room for the next request, unless this one was large.
  constexpr size_t kKeep = 8 << 10;
  std::string body = std::move(request_.body);
  request_ = {};
  if (body.capacity() <= kKeep) {
    body.clear();
    request_.body = std::move(body);
  }
  state_ = State::kHead;
  begun_ = false;
  parser_.reset();
}

}  // namespace berth::gateway
