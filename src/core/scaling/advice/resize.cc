#include "core/scaling/advice/resize.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/quantity.h"

namespace berth::core {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

int64_t in_steps(int64_t amount, int64_t step) {
  return (amount + step - 1) / step * step;
}

/// One resource of a container.
struct Need {
  SizeAdvice lately;     ///< by the samples that growth goes by
  SizeAdvice in_window;  ///< by a whole window; unknown before that is over
  int64_t request = 0;
  int64_t limit = 0;
  int64_t room = 0;
  int64_t killed = 0;
  SizeRange range;
  int64_t step = 1;
  std::string (*text)(int64_t amount) = nullptr;
};

std::string cpu_text(int64_t milli) {
  return Quantity::from_milli(milli).to_string();
}

std::string memory_text(int64_t bytes) {
  return Quantity::from_bytes(in_steps(bytes, kMiB)).to_string();
}

AmountDecision grow(const Need& need, int64_t wanted, std::string reason, double tolerance) {
  const int64_t within = std::clamp(wanted, need.range.least, need.range.most);
  const int64_t placed = (need.request + std::max<int64_t>(need.room, 0)) / need.step * need.step;
  const int64_t amount = std::min(within, placed);
  if (amount < within)
    reason += fmt::format("; where it runs there is room for {}", need.text(placed));
  else if (amount < wanted)
    reason += fmt::format("; {} is the most it may have", need.text(need.range.most));
  if (static_cast<double>(amount - need.request) <= tolerance * static_cast<double>(need.request))
    return {Resize::kCannotGrow, need.request, std::move(reason)};
  return {Resize::kGrows, amount, std::move(reason)};
}

AmountDecision shrink(const Need& need, const ResizeRule& rule) {
  const auto above_killed = static_cast<int64_t>(
      std::ceil(static_cast<double>(need.killed) * (1 + rule.fit.headroom) - 1e-6));
  const int64_t amount =
      std::max({need.in_window.advised, need.range.least, in_steps(above_killed, need.step)});
  const double less = static_cast<double>(need.request - amount);
  if (amount > need.range.most || less <= rule.fit.tolerance * static_cast<double>(need.request))
    return {Resize::kStays, need.request, {}};
  return {Resize::kShrinks, amount,
          fmt::format("used {} of {} at most in {}", need.text(need.in_window.used),
                      need.text(need.request), format_duration(rule.window))};
}

AmountDecision decide(const Need& need, const ResizeRule& rule) {
  if (need.range.most == 0 || need.request == 0) return {Resize::kStays, need.request, {}};
  const double tolerance = rule.fit.tolerance;
  if (need.killed >= need.request)
    return grow(need, 2 * need.request,
                fmt::format("killed for want of memory with {}", need.text(need.killed)),
                tolerance);
  if (need.lately.verdict != SizeVerdict::kUnknown && need.limit > 0 &&
      static_cast<double>(need.lately.used) >= rule.at_limit * static_cast<double>(need.limit))
    return grow(
        need, std::max(2 * need.request, need.lately.advised),
        fmt::format("used {} of a limit of {}", need.text(need.lately.used), need.text(need.limit)),
        tolerance);
  if (need.lately.verdict == SizeVerdict::kTooSmall)
    return grow(need, need.lately.advised,
                fmt::format("used {} of {}", need.text(need.lately.used), need.text(need.request)),
                tolerance);
  if (need.in_window.verdict == SizeVerdict::kTooLarge) return shrink(need, rule);
  return {Resize::kStays, need.request, {}};
}

/// Those that the latest `span` needs, so that they cover it where that was measured.
std::vector<SizeSample> latest(const std::vector<SizeSample>& samples, Duration span) {
  std::vector<SizeSample> result;
  Time newest{INT64_MIN};
  for (const SizeSample& sample : samples) newest = std::max(newest, sample.at);
  std::ranges::copy_if(samples, std::back_inserter(result),
                       [&](const SizeSample& sample) { return sample.at >= newest - span; });
  return result;
}

}  // namespace

ResizeDecision decide_resize(const ResizeInput& input, const ResizeRule& rule) {
  RightSizeRule fit = rule.fit;
  fit.least_cpu_milli = std::max<int64_t>(1, input.cpu.least);
  fit.least_memory_bytes = std::max<int64_t>(1, input.memory.least);
  const RightSize lately = right_size(latest(input.samples, fit.least_time), input.request, fit);
  fit.least_time = rule.window;
  const RightSize in_window = right_size(latest(input.samples, rule.window), input.request, fit);
  return {.cpu = decide({.lately = lately.cpu,
                         .in_window = in_window.cpu,
                         .request = input.request.cpu_milli,
                         .limit = input.limit.cpu_milli,
                         .room = input.room.cpu_milli,
                         .killed = 0,
                         .range = input.cpu,
                         .step = 1,
                         .text = cpu_text},
                        rule),
          .memory = decide({.lately = lately.memory,
                            .in_window = in_window.memory,
                            .request = input.request.memory_bytes,
                            .limit = input.limit.memory_bytes,
                            .room = input.room.memory_bytes,
                            .killed = input.killed_bytes,
                            .range = input.memory,
                            .step = kMiB,
                            .text = memory_text},
                           rule)};
}

}  // namespace berth::core
