#include "simulation/serving/fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include <nlopt.h>

#include "simulation/serving/replay.h"

namespace berth::simulation {
namespace {

constexpr size_t kCoefficients = 5;
constexpr size_t kGroups = 8;
using Point = std::array<double, kCoefficients>;  // logarithms

core::LinearCost cost_at(const double* x) {
  return {.base_s = std::exp(x[0]),
          .per_sequence_s = std::exp(x[1]),
          .per_token_s = std::exp(x[2]),
          .per_context_token_s = std::exp(x[3]),
          .per_prompt_pair_s = std::exp(x[4])};
}

struct Problem {
  core::ServingProfile profile;
  std::span<const traces::ServedRequest> requests;
  Take take;
  Take left_out = {};       ///< rows of it that are not looked at
  double ttft_scale_s = 1;  ///< errors of shorter times are measured against this
  int evaluations = 0;
};

double square(double x) {
  return x * x;
}

/// Mean over the rows of the squared relative errors of TTFT, TPOT and end-to-end time.
double mismatch(Problem& problem, const double* x) {
  ++problem.evaluations;
  problem.profile.cost = cost_at(x);
  const ServingRun run = replay(problem.profile, problem.requests);
  double sum = 0;
  size_t count = 0;
  for (size_t i = problem.take.first; i < problem.take.last; ++i) {
    if (i >= problem.left_out.first && i < problem.left_out.last) continue;
    const traces::ServedRequest& seen = problem.requests[i];
    if (!seen.first_token_s || !seen.last_token_s) continue;
    const ServedTimes& times = run.requests[i];
    const double ttft = *seen.first_token_s - seen.arrival_s;
    const double e2e = *seen.last_token_s - seen.arrival_s;
    sum += square((times.ttft_s - ttft) / std::max(ttft, problem.ttft_scale_s));
    sum += square(times.e2e_s / e2e - 1);
    count += 2;
    if (seen.output_tokens < 2) continue;
    const double tpot = (*seen.last_token_s - *seen.first_token_s) / (seen.output_tokens - 1);
    sum += square(times.tpot_s / tpot - 1);
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

double objective(unsigned, const double* x, double*, void* problem) {
  return mismatch(*static_cast<Problem*>(problem), x);
}

double minimise(Problem& problem, Point& x) {
  const std::unique_ptr<nlopt_opt_s, decltype(&nlopt_destroy)> search(
      nlopt_create(NLOPT_LN_NELDERMEAD, kCoefficients), nlopt_destroy);
  nlopt_set_min_objective(search.get(), objective, &problem);
  nlopt_set_initial_step1(search.get(), 0.7);
  nlopt_set_ftol_rel(search.get(), 1e-5);
  nlopt_set_maxeval(search.get(), 400);
  double value = std::numeric_limits<double>::infinity();
  nlopt_optimize(search.get(), x.data(), &value);
  return value;
}

/// A second search from where the first ended gets a simplex that has collapsed moving again.
double minimise_twice(Problem& problem, Point& x) {
  minimise(problem, x);
  return minimise(problem, x);
}

/// Of the coefficients' logarithms, which is that of the coefficients over their values.
core::LinearCost standard_error(Problem& problem, const Point& start) {
  const Take take = problem.take;
  std::array<Point, kGroups> without;
  Point mean{}, error;
  for (size_t group = 0; group < kGroups; ++group) {
    const size_t rows = take.last - take.first;
    problem.left_out = {take.first + rows * group / kGroups,
                        take.first + rows * (group + 1) / kGroups};
    without[group] = start;
    minimise_twice(problem, without[group]);
    for (size_t i = 0; i < kCoefficients; ++i) mean[i] += without[group][i] / kGroups;
  }
  problem.left_out = {};
  for (size_t i = 0; i < kCoefficients; ++i) {
    double squares = 0;
    for (const Point& each : without) squares += square(each[i] - mean[i]);
    error[i] = std::sqrt((kGroups - 1.0) / kGroups * squares);
  }
  return {error[0], error[1], error[2], error[3], error[4]};
}

}  // namespace

Result<Fit> fit_linear_cost(const core::BatchingLimits& limits,
                            std::span<const traces::ServedRequest> requests, Take take) {
  Problem problem;
  problem.requests = requests;
  problem.take = take;
  problem.profile.limits = limits;
  std::vector<double> ttfts, tpots;
  for (size_t i = take.first; i < take.last; ++i) {
    const traces::ServedRequest& row = requests[i];
    if (!row.first_token_s || !row.last_token_s) continue;
    ttfts.push_back(*row.first_token_s - row.arrival_s);
    if (row.output_tokens > 1)
      tpots.push_back((*row.last_token_s - *row.first_token_s) / (row.output_tokens - 1));
  }
  if (tpots.empty())
    return fail(ErrorCode::kInvalid, "no request has `first_token_ts` and `last_token_ts`", {},
                "take rows of a run that was measured");
  problem.ttft_scale_s = 0.2 * summarize(ttfts).mean;

  // Starts around what large dense models on one GPU show, where most of an iteration is fixed.
  const double tpot_s = *std::min_element(tpots.begin(), tpots.end());
  Point found{}, from{};
  double least = std::numeric_limits<double>::infinity();
  for (const double fixed : {0.8, 0.4}) {
    const Point start = {std::log(tpot_s * fixed), std::log(tpot_s * 0.0025),
                         std::log(tpot_s / 300), std::log(tpot_s / 200'000),
                         std::log(tpot_s / 20'000'000)};
    Point x = start;
    const double left = minimise_twice(problem, x);
    if (left < least) found = x, from = start, least = left;
  }
  const core::LinearCost error = standard_error(problem, from);
  const Fit best{.cost = cost_at(found.data()),
                 .standard_error = error,
                 .error = std::sqrt(least),
                 .evaluations = problem.evaluations};
  return best;
}

}  // namespace berth::simulation
