#include "core/scaling/advice/right_size.h"

#include <algorithm>
#include <cmath>

#include "core/cost/exact_cost.h"

namespace berth::core {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;

/// By nearest rank; `values` has some.
int64_t percentile_of(std::vector<int64_t> values, double share) {
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(share * static_cast<double>(values.size()) - 1e-9);
  return values[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

SizeAdvice judge(int64_t used, int64_t request, int64_t least, int64_t step,
                 const RightSizeRule& rule) {
  const double wanted = std::ceil(static_cast<double>(used) * (1 + rule.headroom) - 1e-6);
  // Who asks for less than the least and uses less is not told to ask for more.
  const int64_t floor = request > 0 ? std::min(least, request) : least;
  const int64_t raw = std::max(static_cast<int64_t>(wanted), floor);
  const int64_t advised = (raw + step - 1) / step * step;
  if (request == 0) return {SizeVerdict::kNoRequest, used, advised};
  const double change = static_cast<double>(advised - request) / static_cast<double>(request);
  if (std::abs(change) <= rule.tolerance) return {SizeVerdict::kFits, used, request};
  return {change < 0 ? SizeVerdict::kTooLarge : SizeVerdict::kTooSmall, used, advised};
}

}  // namespace

RightSize right_size(const std::vector<SizeSample>& samples, const ContainerSize& request,
                     const RightSizeRule& rule) {
  RightSize result;
  result.cpu.advised = request.cpu_milli;
  result.memory.advised = request.memory_bytes;
  result.samples = samples.size();
  if (samples.empty()) return result;
  std::vector<int64_t> cpu, memory;
  Time begin = samples.front().at - samples.front().window, end = samples.front().at;
  for (const SizeSample& sample : samples) {
    cpu.push_back(sample.cpu_milli);
    memory.push_back(sample.memory_bytes);
    begin = std::min(begin, sample.at - sample.window);
    end = std::max(end, sample.at);
  }
  result.measured = end - begin;
  result.cpu.used = percentile_of(cpu, rule.percentile);
  result.memory.used = percentile_of(memory, 1);
  if (samples.size() < rule.least_samples || result.measured < rule.least_time) return result;
  result.cpu = judge(result.cpu.used, request.cpu_milli, rule.least_cpu_milli, 1, rule);
  result.memory =
      judge(result.memory.used, request.memory_bytes, rule.least_memory_bytes, kMiB, rule);
  result.idle = percentile_of(cpu, 1) <= rule.idle_cpu_milli;
  return result;
}

int64_t scaled_limit(int64_t limit, int64_t request, int64_t advised) {
  if (limit == 0) return 0;
  if (request == 0) return std::max(limit, advised);
  const Wide scaled = (static_cast<Wide>(limit) * advised + request - 1) / request;
  return std::max(static_cast<int64_t>(scaled), advised);
}

Money cost_per_hour(const ContainerSize& size, const SizePrices& prices) {
  const auto milli_gib = static_cast<int64_t>(static_cast<Wide>(size.memory_bytes) * 1000 / kGiB);
  return (ExactCost::of(prices.core, size.cpu_milli, Duration::hours(1)) +
          ExactCost::of(prices.gib, milli_gib, Duration::hours(1)))
      .floor();
}

}  // namespace berth::core
