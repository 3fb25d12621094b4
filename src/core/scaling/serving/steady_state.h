#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/scaling/serving/serving_profile.h"

namespace berth::core {

/// One kind of request, by its lengths in tokens.
struct RequestShape {
  int prompt_tokens = 1;
  int output_tokens = 1;
};

/// What one replica has to bear.
struct ServingLoad {
  double rate_per_s = 0;
  double gap_cv = 1;                 ///< of the gaps between arrivals: 1 is Poisson
  std::vector<RequestShape> shapes;  ///< equally likely; a few dozen describe a distribution well
};

/// Bounds on a request's time to first token and on its mean gap between tokens, perhaps also on
/// the time to its last token, and the share of requests that has to be within all of them.
struct ServingObjective {
  double ttft_s = 2;
  double tpot_s = 0.06;
  double latency_s = 0;  ///< to the last token; 0: not asked
  double attainment = 0.95;

  /// Of a request with these times.
  bool holds(double first_s, double per_token_s, double total_s) const {
    return first_s <= ttft_s && per_token_s <= tpot_s && (latency_s <= 0 || total_s <= latency_s);
  }
};

/// The same for what plans by the first two bounds alone: of `latency_s` three quarters are for
/// tokens, the rest for the wait and the prompt, at the output length that leaves half of the
/// misses allowed to longer ones. No bound is loosened.
ServingObjective planned(const ServingObjective& objective, std::span<const RequestShape> shapes);

struct Percentiles {
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0;
};

/// What a replica gives under a steady load.
struct ServingForecast {
  bool stable = false;  ///< the rest is set only when true
  double utilization =
      0;  ///< share of the time that prompts take, the iterations' fixed part aside
  double iteration_s = 0;  ///< mean
  double batch = 0;        ///< sequences in flight, mean
  Percentiles ttft_s, tpot_s, e2e_s;
};

/// The fast counterpart of `ContinuousBatching`, for scaling: no requests, only moments.
///
/// Decodes: under rate L an iteration takes T = base(n) / (1 - L w), where n = L (O - 1) T
/// sequences decode, base(n) is an iteration without prompts and w what a prompt adds; T is the
/// fixed point. A request's TPOT averages iterations over its life, in which the rate it meets is
/// taken to be gamma with the variance of a compound renewal process, so TPOT's distribution is T's
/// under it. Prompts: a queue G/G/1 (Spitzer) whose service is the prompt's work and its
/// iterations' base, after what is left of the iteration under way. tests/unit/simulation prints
/// the errors.
class SteadyState {
 public:
  /// `profile` outlives it.
  SteadyState(const ServingProfile& profile, ServingLoad load);

  bool stable() const { return stable_; }
  double iteration_s() const { return iteration_s_; }
  /// Sequences in flight, mean.
  double batch() const { return decodes_ + load_.rate_per_s * ttft_mean_s_; }
  /// With all percentiles: dear, next to the rest.
  ServingForecast forecast() const;
  /// Share of requests within both bounds; 0 where the load has no steady state.
  double inside(double ttft_s, double tpot_s) const;

 private:
  struct Prompt {
    double work_s;  ///< what it adds to iterations
    double own_s;   ///< alone in its iterations
  };

  struct Met {
    double rate_per_s;
    double cv;
  };

  double decode_s(double decodes) const;
  Prompt prompt(int tokens, double decodes) const;
  std::optional<double> iteration_at(double rate_per_s) const;
  double rate_at(double iteration_s) const;
  Met met(double tpot_s, double gaps) const;
  double tpot_mean_s(double gaps) const;
  double tpot_tail(double tpot_s, double within, double gaps) const;
  double ttft_tail(double ttft_s) const;
  double ttft_tail(double ttft_s, size_t shape) const;
  double e2e_tail(double e2e_s) const;
  void solve();

  const ServingProfile& profile_;
  ServingLoad load_;
  double context_ = 0;  ///< of a decode, mean
  double gaps_ = 0;     ///< output tokens after the first, mean
  bool stable_ = false;
  double iteration_s_ = 0, decodes_ = 0, work_s_ = 0, work_cv_ = 0;
  double base_s_ = 0, shared_s_ = 0, ttft_mean_s_ = 0;
  std::vector<Prompt> prompts_;
  /// The wait for other prompts: probability, and mean and cv where there is one.
  double wait_probability_ = 0, wait_mean_s_ = 0, wait_cv_ = 1;
};

/// The highest rate at which one replica keeps `objective`, within 0.5%; 0 where a lone request
/// already misses it. `load.rate_per_s` is ignored.
double replica_capacity(const ServingProfile& profile, ServingLoad load,
                        const ServingObjective& objective);

/// The most requests that may be in flight at once while the iterations, with prompts coming at the
/// rate that keeps them there, stay within `tpot_s` on average; at least 1.
int concurrency_within(const ServingProfile& profile, const ServingLoad& load, double tpot_s);

}  // namespace berth::core
