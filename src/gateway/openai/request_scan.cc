#include "gateway/openai/request_scan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace berth::gateway {
namespace {

using boost::json::error_code;
using boost::json::string_view;

enum class Field { kOther, kModel, kStream, kStreamOptions, kMaxTokens, kAnswers, kText };

struct NamedField {
  std::string_view name;
  Field field;
};
constexpr std::array kFields = {
    NamedField{"model", Field::kModel},
    NamedField{"stream", Field::kStream},
    NamedField{"stream_options", Field::kStreamOptions},
    NamedField{"max_tokens", Field::kMaxTokens},
    NamedField{"max_completion_tokens", Field::kMaxTokens},
    NamedField{"n", Field::kAnswers},
    NamedField{"messages", Field::kText},
    NamedField{"prompt", Field::kText},
    NamedField{"input", Field::kText},
};

constexpr size_t kMaxModelName = 256;
constexpr size_t kMaxKey = 32;

class RequestHandler {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  RequestScan scan;
  std::string problem;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& error) {
    if (depth_ == 1 && field_ == Field::kStreamOptions) scan.has_stream_options = true;
    return enter(true, error);
  }
  bool on_object_end(size_t, error_code&) { return leave(); }
  bool on_array_begin(error_code& error) { return enter(false, error); }
  bool on_array_end(size_t, error_code&) { return leave(); }

  bool on_key_part(string_view part, size_t, error_code&) {
    append_key(part);
    return true;
  }
  bool on_key(string_view part, size_t, error_code& error) {
    append_key(part);
    const std::string_view key(key_.data(), std::exchange(key_size_, 0));
    if (depth_ == 1) return begin_field(key, error);
    if (depth_ == 2 && field_ == Field::kStreamOptions) {
      in_include_usage_ = key == "include_usage";
      if (in_include_usage_ && std::exchange(seen_include_usage_, true))
        return refuse("field `stream_options.include_usage` is given twice", error);
    }
    return true;
  }

  bool on_string_part(string_view part, size_t, error_code& error) { return text(part, error); }
  bool on_string(string_view part, size_t, error_code& error) {
    if (!text(part, error)) return false;
    if (depth_ == 1 && field_ == Field::kModel) has_model_ = true;
    return scalar(error, Kind::kString);
  }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(int64_t value, string_view, error_code& error) { return number(value, error); }
  bool on_uint64(uint64_t, string_view, error_code& error) { return number(INT64_MAX, error); }
  bool on_double(double value, string_view, error_code& error) {
    // Written again, as for `with_usage`, it would be no number any more.
    if (!std::isfinite(value)) return refuse("a number is out of range", error);
    return number(value >= 0 && value < 1e15 ? static_cast<int64_t>(value) : -1, error);
  }
  bool on_bool(bool value, error_code& error) {
    if (depth_ == 1 && field_ == Field::kStream) scan.stream = value;
    if (depth_ == 2 && in_include_usage_) scan.include_usage = value;
    return scalar(error, Kind::kBool);
  }
  bool on_null(error_code& error) { return scalar(error, Kind::kNull); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

  /// What only the whole document tells.
  void finish() {
    if (!has_model_) problem = "the body has no `model`";
    if (scan.model.empty() && problem.empty()) problem = "`model` is empty";
    scan.input_tokens = token_ids_ + (text_bytes_ + kBytesPerToken - 1) / kBytesPerToken;
    scan.prefix =
        text_bytes_ >= static_cast<int64_t>(kPrefixBytes) ? std::max<uint64_t>(1, hash_) : 0;
    if (scan.max_tokens >= 0)
      scan.max_tokens = std::min<int64_t>(scan.max_tokens, 10'000'000) * answers_;
  }

 private:
  enum class Kind { kString, kNumber, kBool, kNull };

  bool refuse(std::string what, error_code& error) {
    problem = std::move(what);
    error = boost::json::make_error_code(boost::json::error::syntax);
    return false;
  }

  bool enter(bool object, error_code& error) {
    if (depth_ == 0 && !object) return refuse("the body is not an object", error);
    if (depth_ == 1 && (field_ == Field::kModel || field_ == Field::kStream ||
                        (field_ == Field::kStreamOptions && !object)))
      return refuse("`model` is a string, `stream` a boolean, `stream_options` an object", error);
    ++depth_;
    return true;
  }
  bool leave() {
    --depth_;
    if (depth_ == 1) in_include_usage_ = false;
    return true;
  }

  void append_key(string_view part) {
    // A key too long to be one of ours is cut; the cut is none of ours either.
    const size_t size = std::min(part.size(), kMaxKey - key_size_);
    std::copy_n(part.data(), size, key_.data() + key_size_);
    key_size_ += size;
  }

  bool begin_field(std::string_view key, error_code& error) {
    const auto* named = std::ranges::find(kFields, key, &NamedField::name);
    field_ = named == kFields.end() ? Field::kOther : named->field;
    if (named == kFields.end()) return true;
    const auto bit = 1u << (named - kFields.begin());
    if ((seen_ & bit) != 0) return refuse(fmt::format("field `{}` is given twice", key), error);
    seen_ |= bit;
    return true;
  }

  bool text(string_view part, error_code& error) {
    if (depth_ == 1 && field_ == Field::kModel) {
      if (scan.model.size() + part.size() > kMaxModelName)
        return refuse("`model` is too long", error);
      scan.model.append(part.data(), part.size());
    } else if (field_ == Field::kText) {
      for (size_t i = 0; i < part.size() && hashed_ < kPrefixBytes; ++i, ++hashed_)
        hash_ = (hash_ ^ static_cast<unsigned char>(part[i])) * 0x100000001b3ULL;  // FNV-1a
      text_bytes_ += static_cast<int64_t>(part.size());
    }
    return true;
  }

  bool number(int64_t value, error_code& error) {
    if (depth_ == 1 && value >= 0) {
      if (field_ == Field::kMaxTokens) scan.max_tokens = std::max(scan.max_tokens, value);
      if (field_ == Field::kAnswers) answers_ = std::clamp<int64_t>(value, 1, 128);
    }
    if (field_ == Field::kText && depth_ > 1) ++token_ids_;
    return scalar(error, Kind::kNumber);
  }

  bool scalar(error_code& error, Kind kind) {
    if (depth_ == 0) return refuse("the body is not an object", error);
    const bool right = depth_ != 1 || kind == Kind::kNull ? depth_ != 1 || field_ != Field::kModel
                       : field_ == Field::kModel          ? kind == Kind::kString
                       : field_ == Field::kStream         ? kind == Kind::kBool
                                                          : field_ != Field::kStreamOptions;
    if (!right)
      return refuse("`model` is a string, `stream` a boolean, `stream_options` an object", error);
    return true;
  }

  int depth_ = 0;
  Field field_ = Field::kOther;
  uint32_t seen_ = 0;
  bool has_model_ = false;
  bool in_include_usage_ = false;
  bool seen_include_usage_ = false;
  std::array<char, kMaxKey> key_;
  size_t key_size_ = 0;
  int64_t text_bytes_ = 0;
  int64_t token_ids_ = 0;
  int64_t answers_ = 1;
  uint64_t hash_ = 0xcbf29ce484222325ULL;
  size_t hashed_ = 0;
};

boost::json::parse_options options() {
  boost::json::parse_options options;
  options.max_depth = kMaxBodyDepth;
  return options;
}

std::unexpected<Error> bad_body(std::string what) {
  return fail(ErrorCode::kInvalid, std::move(what), "body", "send one JSON object with a `model`");
}

}  // namespace

Result<RequestScan> scan_request(std::string_view body) {
  boost::json::basic_parser<RequestHandler> parser(options());
  error_code error;
  const size_t used = parser.write_some(false, body.data(), body.size(), error);
  RequestHandler& handler = parser.handler();
  if (!handler.problem.empty()) return bad_body(std::move(handler.problem));
  if (error) return bad_body(fmt::format("not JSON at byte {}: {}", used, error.message()));
  if (body.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    return bad_body(fmt::format("more than one JSON document, from byte {}", used));
  handler.finish();
  if (!handler.problem.empty()) return bad_body(std::move(handler.problem));
  return std::move(handler.scan);
}

Result<std::string> with_usage(std::string_view body) {
  error_code error;
  boost::json::value document =
      boost::json::parse(boost::json::string_view(body.data(), body.size()), error, {}, options());
  if (error || !document.is_object()) return bad_body("not a JSON object");
  boost::json::value& stream_options = document.get_object()["stream_options"];
  if (!stream_options.is_object()) stream_options.emplace_object();
  stream_options.get_object()["include_usage"] = true;
  return boost::json::serialize(document);
}

}  // namespace berth::gateway
