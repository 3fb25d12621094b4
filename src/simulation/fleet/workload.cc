#include "simulation/fleet/workload.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/rng.h"

namespace berth::simulation {
namespace {

int gamma_tokens(Rng& rng, double mean, double cv) {
  const double shape = 1 / (cv * cv);
  return std::max(1, static_cast<int>(rng.gamma(shape, mean / shape)));
}

struct FlashCrowd {
  double start_s, rise_s, hold_s, fall_s;

  /// 0 to 1.
  double at(double now_s) const {
    const double age = now_s - start_s;
    if (age <= 0) return 0;
    if (age < rise_s) return age / rise_s;
    if (age < rise_s + hold_s) return 1;
    return std::exp(-(age - rise_s - hold_s) / fall_s);
  }
};

}  // namespace

RequestLoad superpose(std::span<const traces::ServedRequest> trace, int copies, uint64_t seed) {
  RequestLoad workload;
  if (trace.empty()) return workload;
  // The gap that the last request would leave closes the circle.
  const double last_s = trace.back().arrival_s;
  workload.length_s = last_s + std::max(last_s / static_cast<double>(trace.size()), 1e-3);
  workload.requests.reserve(trace.size() * static_cast<size_t>(copies));
  Rng rng(seed);
  for (int copy = 0; copy < copies; ++copy) {
    const double offset = copies == 1 ? 0 : rng.uniform() * workload.length_s;
    for (const traces::ServedRequest& row : trace)
      workload.requests.push_back({std::fmod(row.arrival_s + offset, workload.length_s),
                                   row.prompt_tokens, row.output_tokens,
                                   static_cast<uint32_t>(copy)});
  }
  std::stable_sort(
      workload.requests.begin(), workload.requests.end(),
      [](const FleetRequest& a, const FleetRequest& b) { return a.arrival_s < b.arrival_s; });
  return workload;
}

RequestLoad part_of(const RequestLoad& workload, double from_s, double to_s) {
  RequestLoad part;
  part.length_s = to_s - from_s;
  for (FleetRequest request : workload.requests) {
    if (request.arrival_s < from_s || request.arrival_s >= to_s) continue;
    request.arrival_s -= from_s;
    part.requests.push_back(request);
  }
  return part;
}

RequestLoad with_lead_in(const RequestLoad& workload, double lead_s) {
  RequestLoad longer = part_of(workload, workload.length_s - lead_s, workload.length_s);
  longer.length_s = workload.length_s + lead_s;
  for (FleetRequest request : workload.requests) {
    request.arrival_s += lead_s;
    longer.requests.push_back(request);
  }
  return longer;
}

RequestLoad synthetic_week(const SyntheticWeek& shape, uint64_t seed) {
  Rng rng(seed);
  std::vector<FlashCrowd> crowds;
  for (int i = 0; i < shape.flash_crowds; ++i)
    crowds.push_back({rng.uniform() * shape.length_s, 30 + rng.uniform() * 150,
                      120 + rng.uniform() * 780, 60 + rng.uniform() * 240});
  RequestLoad workload;
  workload.length_s = shape.length_s;
  // Gaps of one renewal process at rate 1, stretched by the rate of the moment.
  const double gap_shape = 1 / (shape.gap_cv * shape.gap_cv);
  for (double now_s = 0;;) {
    const double day = now_s / 86'400;
    const bool weekend = std::fmod(day, 7) >= 5;
    double rate = 1 - shape.wave * std::cos(2 * std::numbers::pi * day);
    if (weekend) rate *= 0.7;
    for (const FlashCrowd& crowd : crowds) rate += shape.flash_rise * crowd.at(now_s);
    now_s += rng.gamma(gap_shape, 1 / gap_shape) / (rate * shape.mean_rate_per_s);
    if (now_s >= shape.length_s) return workload;
    workload.requests.push_back({now_s, gamma_tokens(rng, shape.prompt_mean, shape.prompt_cv),
                                 gamma_tokens(rng, shape.output_mean, shape.output_cv), 0});
  }
}

}  // namespace berth::simulation
