#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "core/sharing/time_slicing/learned.h"
#include "core/sharing/time_slicing/planned.h"
#include "core/sharing/time_slicing/rules.h"
#include "core/sharing/time_slicing/uncertain.h"

namespace berth::core {
namespace {

class LeastLaxitySlicer final : public TimeSlicer {
 public:
  std::vector<size_t> choose(const SliceView& view) override {
    constexpr double kNever = 1e9;
    return fill_in_order(view, planned_order(view, {kNever, 0.1, 1.05, 0, 0}));
  }
};

/// Where running times are estimated, and these hold, it tries, each round, a number of planned
/// rules on the jobs that are there, and follows the one whose outcome is best: mean completion
/// plus `kMakespanWeight` times makespan, after finish-time fairness of at most `kFairnessLimit`.
/// Half of the rules tried are near the last one. Then it tries other choices for the coming round
/// alone. Where estimates turn out to be off it reckons with that (`uncertain_order`); where
/// nothing is estimated it learns from jobs that ended (`learned_order`).
class BerthSlicer final : public TimeSlicer {
 public:
  std::vector<size_t> choose(const SliceView& view) override {
    if (view.jobs.empty()) return {};
    const bool estimated = std::all_of(view.jobs.begin(), view.jobs.end(), [](const SliceJob& job) {
      return job.estimate_s.has_value();
    });
    if (!estimated) return fill_in_order(view, learned_order(view));
    if (const double error = estimate_error(view); error > kEstimatesHold)
      return fill_in_order(view, uncertain_order(view, error));
    improve_rule(view);
    return improve_round(view);
  }

 private:
  static constexpr double kEstimatesHold = 0.1;
  static constexpr double kFairnessLimit = 0.85;
  static constexpr double kMakespanWeight = 2;
  static constexpr double kUnfairnessCost_s = 1e5;
  static constexpr int kRulesTried = 30;
  static constexpr int kRoundsTried = 40;

  static double cost(const SliceView& view, const PlannedRule& rule,
                     const std::vector<size_t>* first = nullptr) {
    const PlannedOutcome outcome = roll_out(view, rule, first);
    return outcome.total_jct_s / static_cast<double>(view.jobs.size()) +
           kMakespanWeight * (outcome.makespan_s - view.now_s) +
           kUnfairnessCost_s * std::max(0.0, outcome.worst_fairness - kFairnessLimit);
  }

  void improve_rule(const SliceView& view) {
    Rng rng(static_cast<uint64_t>(std::llround(view.now_s * 1000)));
    const auto near = [&](double value, double width, double low, double high) {
      return std::clamp(value + width * (rng.uniform() - 0.5), low, high);
    };
    double best = cost(view, rule_);
    for (int i = 0; i < kRulesTried; ++i) {
      PlannedRule rule;
      if (i % 2 == 0) {
        rule.fairness_limit = kFairnessLimit - 0.3 * rng.uniform();
        rule.slack = 0.4 * rng.uniform();
        rule.stretch = 1 + 0.15 * rng.uniform();
        rule.device_exponent = 0.75 * rng.uniform();
        rule.hard_slack = std::max(0.0, 0.15 * rng.uniform() - 0.05);
      } else {
        rule.fairness_limit = near(rule_.fairness_limit, 0.05, kFairnessLimit - 0.3, 0.86);
        rule.slack = near(rule_.slack, 0.05, 0, 0.5);
        rule.stretch = near(rule_.stretch, 0.03, 1, 1.2);
        rule.device_exponent = near(rule_.device_exponent, 0.1, 0, 1);
        rule.hard_slack = near(rule_.hard_slack, 0.03, 0, 0.2);
      }
      const double costs = cost(view, rule);
      if (costs < best) {
        best = costs;
        rule_ = rule;
      }
    }
  }

  /// The coming round need not follow the rule: jobs change places in its order, as long as what
  /// comes of it is better.
  std::vector<size_t> improve_round(const SliceView& view) const {
    std::vector<size_t> order = planned_order(view, rule_);
    std::vector<size_t> chosen = fill_in_order(view, order);
    if (chosen.size() == order.size()) return chosen;
    Rng rng(static_cast<uint64_t>(std::llround(view.now_s * 1000)) + 1);
    double best = cost(view, rule_, &chosen);
    for (int i = 0; i < kRoundsTried; ++i) {
      std::vector<size_t> other = order;
      const size_t from = rng.below(other.size());
      const size_t moved = other[from];
      other.erase(other.begin() + static_cast<ptrdiff_t>(from));
      other.insert(other.begin() + static_cast<ptrdiff_t>(rng.below(order.size())), moved);
      std::vector<size_t> instead = fill_in_order(view, other);
      if (instead == chosen) continue;
      const double costs = cost(view, rule_, &instead);
      if (costs >= best) continue;
      best = costs;
      order = std::move(other);
      chosen = std::move(instead);
    }
    return chosen;
  }

  PlannedRule rule_;
};

}  // namespace

std::unique_ptr<TimeSlicer> make_least_laxity_slicer() {
  return std::make_unique<LeastLaxitySlicer>();
}

std::unique_ptr<TimeSlicer> make_berth_slicer() {
  return std::make_unique<BerthSlicer>();
}

}  // namespace berth::core
