#include "gateway/openai/usage_scan.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/json/basic_parser_impl.hpp>

namespace berth::gateway {
namespace {

using boost::json::error_code;
using boost::json::string_view;

class UsageHandler {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  UsageScan scan;
  bool is_object = false;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    if (depth_ == 0) is_object = true;
    if (depth_ == 1 && field_ == Field::kUsage) scan.usage = Usage{};
    ++depth_;
    return true;
  }
  bool on_object_end(size_t, error_code&) {
    --depth_;
    return true;
  }
  bool on_array_begin(error_code&) {
    ++depth_;
    return true;
  }
  bool on_array_end(size_t count, error_code&) {
    --depth_;
    if (depth_ == 1 && field_ == Field::kChoices) scan.empty_choices = count == 0;
    return true;
  }
  bool on_key_part(string_view part, size_t, error_code&) {
    append_key(part);
    return true;
  }
  bool on_key(string_view part, size_t, error_code&) {
    append_key(part);
    const std::string_view key(key_.data(), std::exchange(key_size_, 0));
    if (depth_ == 1)
      field_ = key == "usage" ? Field::kUsage : key == "choices" ? Field::kChoices : Field::kOther;
    else if (depth_ == 2)
      count_ = key == "prompt_tokens" || key == "input_tokens"        ? Count::kInput
               : key == "completion_tokens" || key == "output_tokens" ? Count::kOutput
                                                                      : Count::kNone;
    return true;
  }
  bool on_string_part(string_view part, size_t, error_code&) { return text(part); }
  bool on_string(string_view part, size_t, error_code&) { return text(part); }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(int64_t value, string_view, error_code&) {
    if (depth_ == 2 && field_ == Field::kUsage && scan.usage && value >= 0) {
      value = std::min<int64_t>(value, 1'000'000'000);
      if (count_ == Count::kInput) scan.usage->input_tokens = value;
      if (count_ == Count::kOutput) scan.usage->output_tokens = value;
    }
    return true;
  }
  bool on_uint64(uint64_t, string_view, error_code&) { return true; }
  bool on_double(double, string_view, error_code&) { return true; }
  bool on_bool(bool, error_code&) { return true; }
  bool on_null(error_code&) { return true; }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

 private:
  enum class Field { kOther, kUsage, kChoices };
  enum class Count { kNone, kInput, kOutput };
  static constexpr size_t kMaxKey = 24;

  void append_key(string_view part) {
    const size_t size = std::min(part.size(), kMaxKey - key_size_);
    std::copy_n(part.data(), size, key_.data() + key_size_);
    key_size_ += size;
  }
  bool text(string_view part) {
    if (field_ == Field::kChoices && depth_ > 1)
      scan.text_bytes += static_cast<int64_t>(part.size());
    return true;
  }

  int depth_ = 0;
  Field field_ = Field::kOther;
  Count count_ = Count::kNone;
  std::array<char, kMaxKey> key_;
  size_t key_size_ = 0;
};

}  // namespace

std::optional<UsageScan> scan_usage(std::string_view json) {
  boost::json::parse_options options;
  options.max_depth = 128;
  boost::json::basic_parser<UsageHandler> parser(options);
  error_code error;
  const size_t used = parser.write_some(false, json.data(), json.size(), error);
  if (error || !parser.handler().is_object ||
      json.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    return std::nullopt;
  return parser.handler().scan;
}

}  // namespace berth::gateway
