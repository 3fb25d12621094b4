#include "simulation/serving/fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include <nlopt.h>

#include "simulation/serving/replay.h"

namespace berth::simulation {
namespace {

constexpr size_t kCoefficients = 5;
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
  return sum / static_cast<double>(count);
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

  // Starts around what large dense models on one GPU show: most of an iteration is fixed.
  const double tpot_s = *std::min_element(tpots.begin(), tpots.end());
  Fit best;
  best.error = std::numeric_limits<double>::infinity();
  for (const double fixed_share : {0.8, 0.4}) {
    Point x = {std::log(tpot_s * fixed_share), std::log(tpot_s / 400), std::log(tpot_s / 300),
               std::log(tpot_s / 200'000), std::log(tpot_s / 20'000'000)};
    // A second search from where the first ended gets a simplex that has collapsed moving again.
    minimise(problem, x);
    const double left = minimise(problem, x);
    if (left < best.error) {
      best.cost = cost_at(x.data());
      best.error = left;
    }
  }
  best.error = std::sqrt(best.error);
  best.evaluations = problem.evaluations;
  return best;
}

}  // namespace berth::simulation
