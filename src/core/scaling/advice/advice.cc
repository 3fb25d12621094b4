#include "core/scaling/advice/advice.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace berth::core {
namespace {

double cv_of_share(double cv, int replicas) {
  return std::sqrt(std::max(0.05, 1 + (cv * cv - 1) / replicas));
}

std::string money(Money amount) {
  return fmt::format("{:.2f}", static_cast<double>(amount.micro) / 1e6);
}

/// Why one lone request already misses the objective.
std::string why_not(const ServingProfile& profile, ServingLoad load,
                    const ServingObjective& objective) {
  load.rate_per_s = 1e-3;
  load.gap_cv = 1;
  const ServingForecast alone = SteadyState(profile, load).forecast();
  if (!alone.stable) return "one request at a time is already more than it can hold";
  return fmt::format(
      "even alone {:.3g}% of requests have TTFT within {:.0f} ms and TPOT within {:.1f} ms "
      "({:.3g}% "
      "allowed: {:.6g} s and {:.6g} ms)",
      100 * objective.attainment, 1e3 * alone.ttft_s.p95, 1e3 * alone.tpot_s.p95,
      100 * objective.attainment, objective.ttft_s, 1e3 * objective.tpot_s);
}

Advice weigh(const ServingOption& option, ServingLoad load, const ServingObjective& objective,
             int max_replicas) {
  Advice advice;
  const double rate = load.rate_per_s, cv = load.gap_cv;
  double capacity = replica_capacity(*option.profile, load, objective);
  int replicas = 1;
  // More replicas smooth each one's bursts, which may raise what each takes: a few rounds settle.
  for (int round = 0; round < 8; ++round) {
    load.gap_cv = cv_of_share(cv, replicas);
    capacity = replica_capacity(*option.profile, load, objective);
    if (capacity <= 0) {
      if (load.gap_cv <= 1 || replicas >= max_replicas) {
        advice.arithmetic = why_not(*option.profile, load, objective);
        return advice;
      }
      replicas = std::min(2 * replicas, max_replicas);
      continue;
    }
    const int needed =
        static_cast<int>(std::min<double>(std::ceil(rate / capacity - 1e-9), max_replicas + 1.0));
    if (needed == replicas) break;
    // Never back below what was found too few.
    replicas = std::max(needed, round > 3 ? replicas : 1);
    if (replicas > max_replicas) {
      advice.arithmetic = fmt::format("{:.4g}/s over {:.4g}/s a replica is more than {} replicas",
                                      rate, capacity, max_replicas);
      return advice;
    }
  }
  advice.possible = true;
  advice.replicas = std::max(1, replicas);
  advice.capacity_per_s = capacity;
  load.rate_per_s = rate / advice.replicas;
  load.gap_cv = cv_of_share(cv, advice.replicas);
  const SteadyState state(*option.profile, load);
  advice.forecast = state.forecast();
  advice.inside = state.inside(objective.ttft_s, objective.tpot_s);
  advice.per_hour = {option.replica_per_hour.micro * advice.replicas};
  double tokens = 0;
  for (const RequestShape& shape : load.shapes) tokens += shape.prompt_tokens + shape.output_tokens;
  const double per_request = tokens / static_cast<double>(std::max<size_t>(1, load.shapes.size()));
  const double millions_per_hour = rate * 3600 * per_request / 1e6;
  if (millions_per_hour > 0)
    advice.per_million_tokens = {
        static_cast<int64_t>(static_cast<double>(advice.per_hour.micro) / millions_per_hour)};
  advice.arithmetic = fmt::format(
      "{:.4g}/s over {:.4g}/s a replica = {:.2f}: {} x {} an hour = {}; {:.0f} tokens a request, "
      "{:.4g} million an hour",
      rate, capacity, rate / capacity, advice.replicas, money(option.replica_per_hour),
      money(advice.per_hour), per_request, millions_per_hour);
  return advice;
}

}  // namespace

std::vector<Advice> advise(const std::vector<ServingOption>& options, const ServingLoad& load,
                           const ServingObjective& objective, int max_replicas) {
  std::vector<Advice> all;
  for (size_t i = 0; i < options.size(); ++i) {
    all.push_back(weigh(options[i], load, planned(objective, load.shapes), max_replicas));
    all.back().option = i;
  }
  std::stable_sort(all.begin(), all.end(), [](const Advice& a, const Advice& b) {
    if (a.possible != b.possible) return a.possible;
    return a.possible && a.per_hour < b.per_hour;
  });
  return all;
}

}  // namespace berth::core
