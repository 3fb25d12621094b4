#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace berth::gateway {

struct Usage {
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  bool operator==(const Usage&) const = default;
};

/// What an answer, or one event of a streamed one, says of its tokens. Only fields in their place
/// count: text that a model made up to look like one is text.
struct UsageScan {
  std::optional<Usage> usage;
  bool empty_choices = false;  ///< `choices` is there and has nothing in it
  int64_t text_bytes = 0;      ///< of strings in `choices`, to count where there is no usage
};

/// Nothing where it is not a JSON object.
std::optional<UsageScan> scan_usage(std::string_view json);

}  // namespace berth::gateway
