#include "cli/serving/take.h"

#include <charconv>

#include <fmt/format.h>

namespace berth::cli {

Result<simulation::Take> parse_take(const std::string& text, size_t rows) {
  if (text.empty()) return simulation::Take{0, rows};
  simulation::Take take;
  const char* end = text.data() + text.size();
  const auto [dots, first_status] = std::from_chars(text.data(), end, take.first);
  const bool dotted =
      first_status == std::errc() && end - dots > 2 && dots[0] == '.' && dots[1] == '.';
  const auto [stop, last_status] =
      dotted ? std::from_chars(dots + 2, end, take.last)
             : std::from_chars_result{text.data(), std::errc::invalid_argument};
  if (last_status != std::errc() || stop != end || take.first >= take.last)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is no range of rows", text), "--take",
                "write 0..150 for the first 150");
  if (take.last > rows)
    return fail(ErrorCode::kInvalid, fmt::format("the log has {} rows, not {}", rows, take.last),
                "--take", fmt::format("end the range at {} or before", rows));
  return take;
}

}  // namespace berth::cli
