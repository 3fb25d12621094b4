#include "core/scaling/serving/online_fit.h"

#include <algorithm>
#include <cmath>

namespace berth::core {
namespace {

constexpr double kNoise = 0.25;   ///< of a measurement, relative
constexpr double kDrift = 0.005;  ///< of a coefficient, a request, relative
constexpr double kLeast_s = 1e-9;

}  // namespace

OnlineFit::OnlineFit(const ServingProfile& start, double uncertainty)
    : profile_(start), linear_(std::holds_alternative<LinearCost>(start.cost)) {
  if (!linear_) return;
  const auto& cost = std::get<LinearCost>(start.cost);
  mean_ = {cost.base_s, cost.per_sequence_s + cost.per_token_s, cost.per_token_s};
  for (size_t i = 0; i < kSize; ++i) {
    mean_[i] = std::max(mean_[i], kLeast_s);
    covariance_[i][i] = most_[i] = std::pow(uncertainty * mean_[i], 2);
  }
}

void OnlineFit::observe(const ServedRequest& request, double prompt_tokens_per_s) {
  if (!linear_ || request.output_tokens < 1 || request.total_s <= 0) return;
  ++observed_;
  const double n = std::max(1.0, request.in_flight);
  const double gaps = request.output_tokens - 1;
  const double chunk = std::max(1, profile_.limits.max_batched_tokens);
  const double iterations = std::ceil(std::max(1, request.prompt_tokens) / chunk) +
                            (n > 1.5 ? 0.5 : 0.0);  // what is left of the one under way
  const Row prompt{iterations, iterations * n, static_cast<double>(request.prompt_tokens)};
  // Others' prompts are in the same iterations; its own came before its gaps.
  const double others = n > 1.5 ? prompt_tokens_per_s : 0;
  if (request.first_token_s < 0) {
    update({prompt[0] + gaps, prompt[1] + gaps * n,
            prompt[2] + others * std::max(0.0, request.total_s)},
           request.total_s);
    return;
  }
  if (request.first_token_s > 0) update(prompt, request.first_token_s);
  const double rest_s = request.total_s - request.first_token_s;
  if (gaps > 0 && rest_s > 0) update({gaps, gaps * n, others * rest_s}, rest_s);
}

void OnlineFit::update(const Row& row, double measured_s) {
  double predicted = 0;
  Row gain{};
  for (size_t i = 0; i < kSize; ++i) {
    predicted += row[i] * mean_[i];
    covariance_[i][i] = std::min(covariance_[i][i] + std::pow(kDrift * mean_[i], 2),
                                 most_[i] + kLeast_s * kLeast_s);
    for (size_t j = 0; j < kSize; ++j) gain[i] += covariance_[i][j] * row[j];
  }
  double variance = std::pow(kNoise * std::max(measured_s, predicted), 2);
  for (size_t i = 0; i < kSize; ++i) variance += row[i] * gain[i];
  for (size_t i = 0; i < kSize; ++i)
    mean_[i] = std::max(kLeast_s, mean_[i] + gain[i] / variance * (measured_s - predicted));
  for (size_t i = 0; i < kSize; ++i)
    for (size_t j = 0; j < kSize; ++j) covariance_[i][j] -= gain[i] * gain[j] / variance;
  write_profile();
}

void OnlineFit::write_profile() {
  auto& cost = std::get<LinearCost>(profile_.cost);
  cost.base_s = mean_[0];
  // A token that is decoded costs no more than its sequence does.
  cost.per_token_s = std::min(mean_[2], mean_[1]);
  cost.per_sequence_s = mean_[1] - cost.per_token_s;
}

double OnlineFit::uncertainty() const {
  if (!linear_) return 0;
  const double n = std::max(1, profile_.limits.max_sequences / 2);
  const double seconds = mean_[0] + n * mean_[1];
  const double variance = covariance_[0][0] + 2 * n * covariance_[0][1] + n * n * covariance_[1][1];
  return std::sqrt(std::max(0.0, variance)) / seconds;
}

}  // namespace berth::core
