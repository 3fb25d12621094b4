#include "core/scaling/serving/steady_state.h"

#include <algorithm>
#include <cmath>

#include "core/scaling/models/random_walk.h"
#include "core/scaling/models/wait.h"

namespace berth::core {
namespace {

/// The least x at which `tail` (falling) is at most 1 - p.
template <class Tail>
double quantile(Tail tail, double p, double scale) {
  double high = scale;
  for (int step = 0; step < 60 && tail(high) > 1 - p; ++step) high *= 2;
  double low = 0;
  for (int step = 0; step < 40 && high - low > 1e-6 * high; ++step) {
    const double middle = (low + high) / 2;
    (tail(middle) > 1 - p ? low : high) = middle;
  }
  return high;
}

template <class Tail>
Percentiles percentiles(double mean, Tail tail) {
  const double scale = std::max(mean, 1e-6);
  return {mean, quantile(tail, 0.5, scale), quantile(tail, 0.9, scale), quantile(tail, 0.95, scale),
          quantile(tail, 0.99, scale)};
}

}  // namespace

SteadyState::SteadyState(const ServingProfile& profile, ServingLoad load)
    : profile_(profile), load_(std::move(load)) {
  double context_weight = 0;
  for (const RequestShape& shape : load_.shapes) {
    const double gaps = shape.output_tokens - 1;
    gaps_ += gaps;
    context_ += gaps * (shape.prompt_tokens + shape.output_tokens / 2.0);
    context_weight += gaps;
  }
  if (!load_.shapes.empty()) gaps_ /= static_cast<double>(load_.shapes.size());
  if (context_weight > 0) context_ /= context_weight;
  solve();
}

/// Between whole numbers of sequences as a straight line, so that what is solved for is continuous.
double SteadyState::decode_s(double decodes) const {
  const auto at = [&](int count) {
    Batch batch;
    batch.decodes = count;
    batch.decode_context_sum = static_cast<int64_t>(count * context_);
    batch.decode_context_max = static_cast<int>(context_);
    return profile_.iteration_s(batch);
  };
  decodes = std::max(decodes, 1.0);
  const int whole = static_cast<int>(decodes);
  return at(whole) + (decodes - whole) * (at(whole + 1) - at(whole));
}

SteadyState::Prompt SteadyState::prompt(int tokens, double decodes) const {
  const int whole = static_cast<int>(decodes);
  Batch without;
  without.decodes = whole;
  without.decode_context_sum = static_cast<int64_t>(whole * context_);
  without.decode_context_max = static_cast<int>(context_);
  const double base_s = whole > 0 ? profile_.iteration_s(without) : 0;
  const double empty_s = decode_s(1);
  const int room = std::max(1, profile_.limits.max_batched_tokens - whole);
  Prompt prompt{0, 0};
  for (int done = 0; done < tokens; done += room) {
    Batch with = without;
    with.prompts.push_back({std::min(room, tokens - done), done});
    const double seconds = profile_.iteration_s(with);
    prompt.own_s += seconds;
    // On its own it pays for the fixed part too, which decodes would have paid for.
    prompt.work_s += std::max(0.0, seconds - (whole > 0 ? base_s : empty_s));
  }
  return prompt;
}

std::optional<double> SteadyState::iteration_at(double rate_per_s) const {
  // The map T -> base(n(T)) / (1 - L w(n)) rises; from below it climbs to its least fixed point.
  double iteration_s = decode_s(1);
  const double sequences = profile_.limits.max_sequences;
  for (int step = 0; step < 200; ++step) {
    const double decodes = rate_per_s * gaps_ * iteration_s;
    if (decodes > sequences) return std::nullopt;
    double work_s = 0;
    for (const RequestShape& shape : load_.shapes)
      work_s += prompt(shape.prompt_tokens, decodes).work_s;
    work_s /= static_cast<double>(load_.shapes.size());
    if (rate_per_s * work_s >= 1) return std::nullopt;
    const double next_s = decode_s(decodes) / (1 - rate_per_s * work_s);
    if (std::abs(next_s - iteration_s) < 1e-6 * next_s) {
      // Two deviations are kept free: a queue for places in the batch is not modelled.
      const double deviation = load_.gap_cv * std::sqrt(decodes / (1 - rate_per_s * work_s));
      if (decodes + 2 * deviation > sequences) return std::nullopt;
      return next_s;
    }
    iteration_s = next_s;
  }
  return std::nullopt;
}

/// The rate, met over a life, that makes its iterations this long on average. The batch grows with
/// it, but over longer than a life: by half of what it would in the end.
double SteadyState::rate_at(double iteration_s) const {
  double low = 0, high = work_s_ > 0 ? 1 / work_s_ : 1e9;
  for (int step = 0; step < 40; ++step) {
    const double rate = (low + high) / 2;
    const double base_s = (base_s_ + decode_s(rate * gaps_ * iteration_s)) / 2;
    (base_s > iteration_s * (1 - rate * work_s_) ? high : low) = rate;
  }
  return low;
}

void SteadyState::solve() {
  if (load_.shapes.empty() || load_.rate_per_s <= 0) return;
  const auto iteration_s = iteration_at(load_.rate_per_s);
  if (!iteration_s) return;
  iteration_s_ = *iteration_s;
  decodes_ = load_.rate_per_s * gaps_ * iteration_s_;
  const BatchingLimits& limits = profile_.limits;
  if (limits.kv_blocks > 0 &&
      decodes_ * context_ > 0.95 * limits.kv_blocks * static_cast<double>(limits.block_tokens))
    return;

  const double count = static_cast<double>(load_.shapes.size());
  base_s_ = decode_s(decodes_);
  const double room = std::max(1.0, limits.max_batched_tokens - decodes_);
  double squares = 0, service_s = 0, service_squares = 0, own_s = 0;
  for (const RequestShape& shape : load_.shapes) {
    const Prompt each = prompt(shape.prompt_tokens, decodes_);
    prompts_.push_back(each);
    work_s_ += each.work_s / count;
    squares += each.work_s * each.work_s / count;
    // Queued prompts share iterations as far as these have room.
    const double service = each.work_s + base_s_ * shape.prompt_tokens / room;
    service_s += service / count;
    service_squares += service * service / count;
    own_s += each.own_s / count;
  }
  const double variance = std::max(0.0, squares - work_s_ * work_s_);
  work_cv_ = work_s_ > 0 ? std::sqrt(variance) / work_s_ : 0;
  QueueLoad queue{.arrivals_per_s = load_.rate_per_s, .service_mean_s = service_s};
  queue.arrival_cv = load_.gap_cv;
  queue.service_cv = std::sqrt(std::max(0.0, service_squares - service_s * service_s)) / service_s;
  if (!queue.stable()) return;
  const Wait wait = wait_gg1(queue);
  wait_probability_ = wait.probability();
  wait_mean_s_ = wait.conditional_mean_s();
  wait_cv_ = wait.conditional_cv();
  // What is left of the iteration under way, and prompts that came meanwhile and share the next.
  shared_s_ = std::min(1.0, decodes_) * base_s_ / 2 + load_.rate_per_s * iteration_s_ * work_s_;
  ttft_mean_s_ = wait.mean_s() + own_s + shared_s_;
  stable_ = true;
}

/// What a request with so many gaps between its tokens meets while these take `tpot_s` on average:
/// arrivals come in bursts, so one that arrives sees (cv^2 - 1) / 2 more than the rate says.
SteadyState::Met SteadyState::met(double tpot_s, double gaps) const {
  const double life_s = gaps * tpot_s;
  const double squares = load_.gap_cv * load_.gap_cv;
  const double count = load_.rate_per_s * life_s;
  const double more = (squares - 1) / 2 * (1 - std::exp(-count));
  const double mean = std::max(0.1 * count, count + more);
  return {mean / life_s, std::sqrt((squares + work_cv_ * work_cv_) / mean)};
}

/// `within` is `rate_at(tpot_s)`.
double SteadyState::tpot_tail(double tpot_s, double within, double gaps) const {
  const Met seen = met(tpot_s, gaps);
  return gamma_tail(seen.rate_per_s, seen.cv, within);
}

/// To second order in how much the rate that is met varies.
double SteadyState::tpot_mean_s(double gaps) const {
  const Met seen = met(iteration_s_, gaps);
  const double load = std::min(0.95, seen.rate_per_s * work_s_);
  const double spread = load * seen.cv / (1 - load);
  return base_s_ / (1 - load) * (1 + std::min(0.5, spread * spread));
}

double SteadyState::ttft_tail(double ttft_s, size_t shape) const {
  return Wait(wait_probability_, wait_mean_s_, wait_cv_)
      .tail(ttft_s - prompts_[shape].own_s - shared_s_);
}

double SteadyState::ttft_tail(double ttft_s) const {
  double sum = 0;
  for (size_t i = 0; i < prompts_.size(); ++i) sum += ttft_tail(ttft_s, i);
  return sum / static_cast<double>(prompts_.size());
}

double SteadyState::e2e_tail(double e2e_s) const {
  double sum = 0;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    const double gaps = load_.shapes[i].output_tokens - 1;
    const double left = e2e_s - ttft_mean_s_;
    if (gaps < 1)
      sum += ttft_tail(e2e_s, i);
    else
      sum += left <= 0 ? 1 : tpot_tail(left / gaps, rate_at(left / gaps), gaps);
  }
  return sum / static_cast<double>(prompts_.size());
}

ServingForecast SteadyState::forecast() const {
  ServingForecast answer;
  if (!stable_) return answer;
  answer.stable = true;
  answer.utilization = load_.rate_per_s * work_s_;
  answer.iteration_s = iteration_s_;
  answer.batch = batch();
  answer.ttft_s = percentiles(ttft_mean_s_, [&](double t) { return ttft_tail(t); });
  double streams = 0, tpot_sum_s = 0;
  for (const RequestShape& shape : load_.shapes) {
    if (shape.output_tokens < 2) continue;
    ++streams;
    tpot_sum_s += tpot_mean_s(shape.output_tokens - 1);
  }
  if (streams > 0) {
    answer.tpot_s = percentiles(tpot_sum_s / streams, [&](double t) {
      double sum = 0;
      const double within = rate_at(t);
      for (const RequestShape& shape : load_.shapes)
        if (shape.output_tokens > 1) sum += tpot_tail(t, within, shape.output_tokens - 1);
      return sum / streams;
    });
  }
  answer.e2e_s =
      percentiles(ttft_mean_s_ + gaps_ * iteration_s_, [&](double t) { return e2e_tail(t); });
  return answer;
}

double SteadyState::inside(double ttft_s, double tpot_s) const {
  if (!stable_) return 0;
  double sum = 0;
  const double within = rate_at(tpot_s);
  for (size_t i = 0; i < prompts_.size(); ++i) {
    const double gaps = load_.shapes[i].output_tokens - 1;
    const double slow = gaps < 1 ? 0 : tpot_tail(tpot_s, within, gaps);
    // A crowd makes both late: the worse of the two counts, not their product.
    sum += 1 - std::max(slow, ttft_tail(ttft_s, i));
  }
  return sum / static_cast<double>(prompts_.size());
}

ServingObjective planned(const ServingObjective& objective, std::span<const RequestShape> shapes) {
  constexpr double kForTokens = 0.75;
  if (objective.latency_s <= 0 || shapes.empty()) return objective;
  std::vector<int> outputs;
  for (const RequestShape& shape : shapes) outputs.push_back(shape.output_tokens);
  std::ranges::sort(outputs);
  const double within = (1 + objective.attainment) / 2;
  const auto rank = static_cast<size_t>(std::ceil(within * static_cast<double>(outputs.size())));
  const int longest = outputs[std::clamp<size_t>(rank, 1, outputs.size()) - 1];
  const double gaps = std::max(1, longest - 1);
  ServingObjective plan = objective;
  plan.tpot_s = std::min(objective.tpot_s, kForTokens * objective.latency_s / gaps);
  plan.ttft_s = std::min(objective.ttft_s, objective.latency_s - plan.tpot_s * gaps);
  return plan;
}

double replica_capacity(const ServingProfile& profile, ServingLoad load,
                        const ServingObjective& objective) {
  const auto enough = [&](double rate) {
    load.rate_per_s = rate;
    return SteadyState(profile, load).inside(objective.ttft_s, objective.tpot_s) >=
           objective.attainment;
  };
  double high = 1e-3;
  if (!enough(high)) return 0;
  while (enough(high)) high *= 2;
  double low = high / 2;
  while (high - low > 0.005 * high) {
    const double middle = (low + high) / 2;
    (enough(middle) ? low : high) = middle;
  }
  return low;
}

int concurrency_within(const ServingProfile& profile, const ServingLoad& load, double tpot_s) {
  ServingLoad at = load;
  at.gap_cv = 1;
  double low = 0, high = 1;
  const auto state_at = [&](double rate) {
    at.rate_per_s = rate;
    return SteadyState(profile, at);
  };
  const auto within = [&](double rate) {
    const SteadyState state = state_at(rate);
    return state.stable() && state.iteration_s() <= tpot_s;
  };
  while (within(high) && high < 1e6) low = high, high *= 2;
  for (int step = 0; step < 30; ++step) {
    const double middle = (low + high) / 2;
    (within(middle) ? low : high) = middle;
  }
  return low <= 0 ? 1 : std::max(1, static_cast<int>(state_at(low).batch()));
}

}  // namespace berth::core
