#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace berth::gateway {

/// What the gateway needs to know of a request's body; the rest is the server's business.
struct RequestScan {
  std::string model;
  bool stream = false;
  bool has_stream_options = false;
  bool include_usage = false;
  int64_t input_tokens = 0;  ///< an estimate: bytes of text / 4, and token ids
  int64_t max_tokens = -1;   ///< times the number of answers; -1: not said
  uint64_t prefix = 0;       ///< hash of the first `kPrefixBytes` of text; 0: shorter than that
};

inline constexpr int kMaxBodyDepth = 64;
inline constexpr size_t kPrefixBytes = 512;
/// Text of a token, for estimates where the server's tokenizer is not known.
inline constexpr int64_t kBytesPerToken = 4;

/// Reads a request's body in one pass. Refuses what is not one JSON object, is nested too deep, has
/// no `model`, or says one of these fields twice: two readers might take different ones.
Result<RequestScan> scan_request(std::string_view body);

/// The body with `stream_options.include_usage` true. For a body that has no `stream_options`,
/// `kUsageField` right after its first brace does the same without a copy.
Result<std::string> with_usage(std::string_view body);
inline constexpr std::string_view kUsageField = R"("stream_options":{"include_usage":true},)";

}  // namespace berth::gateway
