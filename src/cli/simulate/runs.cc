#include "cli/simulate/runs.h"

#include <charconv>
#include <chrono>

#include <fmt/format.h>

#include "base/text.h"

namespace berth::cli {

Time Stopwatch::now() const {
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(
              std::chrono::steady_clock::now().time_since_epoch())
              .count()};
}

Result<std::vector<uint64_t>> parse_seeds(const std::string& text) {
  const auto bad = [&] {
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a list of seeds", text), "--seeds",
                "write 42..51 or 1,2,3; at most 1000 of them");
  };
  std::vector<uint64_t> seeds;
  for (std::string_view part : split(text, ',')) {
    uint64_t first = 0;
    const char* end = part.data() + part.size();
    auto [at, error] = std::from_chars(part.data(), part.data() + part.size(), first);
    if (error != std::errc()) return bad();
    uint64_t last = first;
    if (at != end) {
      if (!std::string_view(at, static_cast<size_t>(end - at)).starts_with("..")) return bad();
      const auto [stop, wrong] = std::from_chars(at + 2, end, last);
      if (wrong != std::errc() || stop != end || last < first) return bad();
    }
    if (last - first >= 1000 || seeds.size() + (last - first) >= 1000) return bad();
    for (uint64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
  }
  return seeds;
}

}  // namespace berth::cli
