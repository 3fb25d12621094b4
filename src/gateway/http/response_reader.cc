#include "gateway/http/response_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

namespace berth::gateway {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using ErrorCode = boost::system::error_code;

constexpr uint32_t kMaxHeadBytes = 32 << 10;

}  // namespace

class ResponseReader::Parser final : public http::basic_parser<false> {
 public:
  explicit Parser(ResponseReader& reader) : reader_(reader) {
    eager(true);
    header_limit(kMaxHeadBytes);
    body_limit(boost::none);
  }

 private:
  void on_request_impl(http::verb, beast::string_view, beast::string_view, int,
                       ErrorCode&) override {}
  void on_response_impl(int status, beast::string_view, int, ErrorCode&) override {
    reader_.head_.status = status;
  }
  void on_field_impl(http::field name, beast::string_view, beast::string_view value,
                     ErrorCode&) override {
    if (name == http::field::content_type)
      reader_.head_.content_type.assign(value.data(), value.size());
    if (name == http::field::retry_after)
      reader_.head_.retry_after.assign(value.data(), value.size());
  }
  void on_header_impl(ErrorCode&) override {
    reader_.head_done_ = true;
    reader_.keep_alive_ = keep_alive();
    reader_.head_.explicit_end = !need_eof();
  }
  void on_body_init_impl(const boost::optional<uint64_t>&, ErrorCode&) override {}
  size_t on_body_impl(beast::string_view bytes, ErrorCode&) override {
    (*reader_.on_body_)({bytes.data(), bytes.size()});
    return bytes.size();
  }
  void on_chunk_header_impl(uint64_t, beast::string_view, ErrorCode&) override {}
  size_t on_chunk_body_impl(uint64_t, beast::string_view bytes, ErrorCode&) override {
    (*reader_.on_body_)({bytes.data(), bytes.size()});
    return bytes.size();
  }
  void on_finish_impl(ErrorCode&) override { reader_.done_ = true; }

  ResponseReader& reader_;
};

ResponseReader::ResponseReader() = default;
ResponseReader::~ResponseReader() = default;

size_t ResponseReader::feed(std::string_view bytes, const OnBody& on_body) {
  begun_ = begun_ || !bytes.empty();
  if (!parser_) parser_ = std::make_unique<Parser>(*this);
  on_body_ = &on_body;
  size_t used = 0;
  while (used < bytes.size() && !done_ && good_) {
    ErrorCode error;
    const size_t taken =
        parser_->put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
    used += taken;
    if (error == http::error::need_more) break;
    if (error) good_ = false;
    // 100 Continue and the like come before the answer.
    if (done_ && head_.status >= 100 && head_.status < 200) {
      reset();
      parser_ = std::make_unique<Parser>(*this);
      begun_ = true;
    } else if (taken == 0) {
      break;
    }
  }
  on_body_ = nullptr;
  return used;
}

bool ResponseReader::finish() {
  if (done_) return true;
  if (!parser_ || !head_done_ || !good_) return false;
  ErrorCode error;
  parser_->put_eof(error);
  return !error && done_;
}

void ResponseReader::reset() {
  head_ = {};
  begun_ = head_done_ = done_ = keep_alive_ = false;
  good_ = true;
  parser_.reset();
}

}  // namespace berth::gateway
