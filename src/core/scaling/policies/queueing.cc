#include "core/scaling/policies/queueing.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "core/scaling/forecasts/chosen.h"
#include "core/scaling/serving/work_rates.h"

namespace berth::core {
namespace {

constexpr double kPeriod_s = 15;
constexpr double kMostNeeded = 1e5, kLeastNeeded = 0.01, kNeededWithin = 0.01;
constexpr double kMostGained = 0.12, kMostLost = 0.15;  ///< of a replica's efficiency, by feedback

class Queueing : public ScalingPolicy {
 public:
  explicit Queueing(const ScaledService& service)
      : service_(service),
        tuning_(service.tuning),
        rates_(work_rates(*service.profile, service.shapes, service.objective.tpot_s,
                          service.max_in_flight)),
        forecast_(kPeriod_s, static_cast<int>(
                                 std::ceil((service.cold_start_s + service.tick_s) / kPeriod_s))) {
    for (const RequestShape& shape : service.shapes) {
      const auto count = static_cast<double>(service.shapes.size());
      output_tokens_ += shape.output_tokens / count;
      prompt_s_ += rates_.prompt_s(shape.prompt_tokens) / count;
    }
  }

  ScalingDecision decide(const ServiceView& view) override {
    take_in(view);
    const int have = view.ready + view.starting;
    if (view.samples.empty()) return {within_bounds(service_, have), "nothing was seen yet", {}};
    if (view.now_s - busy_s_ > tuning_.idle_to_zero_s && service_.min_replicas == 0)
      return {0,
              busy_s_ < 0 ? "no request yet"
                          : fmt::format("no request for {:.0f} s", view.now_s - busy_s_),
              {}};

    scale_windows();
    correct_efficiency(view);
    const double allowed = tuning_.share * (1 - service_.objective.attainment);
    int wanted = 1;
    const int most = std::max(1, service_.max_replicas);
    double missed = share_missed(wanted);
    while (wanted < most && missed > allowed) missed = share_missed(++wanted);

    wanted_.push_back({view.now_s, wanted});
    while (wanted_.front().at_s < view.now_s - tuning_.hold_s) wanted_.pop_front();
    int target = wanted;
    for (const Wanted& each : wanted_) target = std::max(target, std::min(each.replicas, have));

    ScalingDecision decision;
    decision.replicas = within_bounds(service_, target);
    const double ahead = forecast_.ahead();
    decision.reason = fmt::format("{}, {} would miss {:.1f}% of it, {:.1f}% allowed",
                                  ahead > 0 ? fmt::format("{:.2f} replicas' work foreseen ({})",
                                                          ahead / rates_.capacity, forecast_.name())
                                            : "work as it came of late",
                                  wanted, 100 * missed, 100 * allowed);
    decision.marginal_values = marginal_values(decision.replicas);
    if (service_.unrounded) decision.needed = needed(allowed);
    return decision;
  }

 private:
  struct Wanted {
    double at_s;
    int replicas;
  };

  /// Work by window, and by period for the forecast.
  void take_in(const ServiceView& view) {
    const double newest = view.now_s / service_.window_s;
    const auto fresh = std::min(view.samples.size(),
                                static_cast<size_t>(std::max(0.0, std::round(newest) - seen_)));
    seen_ = std::round(newest);
    for (size_t i = view.samples.size() - fresh; i < view.samples.size(); ++i) {
      const ServiceSample& sample = view.samples[i];
      if (sample.arrivals > 0 || sample.concurrency > 0) busy_s_ = view.now_s;
      if (sample.ended > 0) {
        const double share = std::min(0.5, 0.001 * sample.ended);
        output_tokens_ += share * (sample.output_tokens / sample.ended - output_tokens_);
      }
      const double work = rates_.per_prompt_token_s * sample.prompt_tokens +
                          rates_.per_prompt_token2_s * sample.prompt_tokens2 +
                          rates_.per_output_token_s * sample.arrivals * output_tokens_;
      if (sample.arrivals > 0) {
        const double share = request_work_s_ > 0 ? std::min(0.5, 0.001 * sample.arrivals) : 1;
        request_work_s_ += share * (work / sample.arrivals - request_work_s_);
      }
      windows_.push_back(work);
      if (windows_.size() > memory_windows()) windows_.pop_front();
      period_work_ += work;
      period_left_s_ -= service_.window_s;
      if (period_left_s_ > 1e-9) continue;
      forecast_.observe(period_work_ / kPeriod_s);
      period_work_ = 0;
      period_left_s_ = kPeriod_s;
    }
  }

  size_t memory_windows() const {
    return static_cast<size_t>(std::max(60.0, tuning_.memory_s) / service_.window_s);
  }

  /// The windows of late as they would be at the level that is foreseen.
  void scale_windows() {
    const double ahead = forecast_.ahead();
    scaled_.resize(windows_.size());
    total_ = 0;
    const double windows_a_period = kPeriod_s / service_.window_s;
    const double open = (kPeriod_s - period_left_s_) / service_.window_s;  // not yet observed
    for (size_t age = 0; age < windows_.size(); ++age) {
      const auto period =
          static_cast<size_t>(std::max(0.0, (static_cast<double>(age) - open) / windows_a_period));
      const double foretold = forecast_.foretold(period);
      const double factor = foretold > 0 ? std::min(ahead / foretold, 4.0) : 1;
      const size_t i = windows_.size() - 1 - age;
      scaled_[i] = factor * windows_[i];
      total_ += scaled_[i];
    }
  }

  /// The fewest replicas, as a real number, that miss no more than is allowed.
  double needed(double allowed) const {
    double few = 0, enough = 1;
    while (share_missed(enough) > allowed && enough < kMostNeeded)
      few = std::exchange(enough, 2 * enough);
    while (enough - few > kNeededWithin * enough && enough > kLeastNeeded) {
      const double middle = (few + enough) / 2;
      (share_missed(middle) > allowed ? few : enough) = middle;
    }
    return enough;
  }

  double share_missed(double replicas) const {
    if (total_ <= 0) return 0;
    const double done = replicas * rates_.capacity * efficiency_ * service_.window_s;
    const double slack_s = std::max(0.0, service_.objective.ttft_s - prompt_s_);
    const double room = done * slack_s / service_.window_s;
    double backlog = 0, missed = 0;
    for (const double work : scaled_) {
      backlog = std::max(0.0, backlog + work - done);
      if (backlog > room) missed += backlog - room, backlog = room;
    }
    return missed / total_;
  }

  /// Where more was missed of late than is allowed, replicas do less than they were taken to do.
  void correct_efficiency(const ServiceView& view) {
    const double allowed = 1 - service_.objective.attainment;
    double missed = 0, arrivals = 0;
    const auto count = std::min(view.samples.size(), memory_windows());
    for (size_t i = view.samples.size() - count; i < view.samples.size(); ++i) {
      missed += view.samples[i].missed;
      arrivals += view.samples[i].arrivals;
    }
    // As if the windows that are not there yet had missed what they may.
    const double seen = arrivals > 0 ? missed / arrivals : allowed;
    const double weight = static_cast<double>(count) / static_cast<double>(memory_windows());
    const double excess = weight * (seen - allowed) / allowed;
    efficiency_ =
        tuning_.efficiency * (1 - std::clamp(tuning_.feedback * excess, -kMostGained, kMostLost));
  }

  /// What each replica above `min` is worth, up to one more than are wanted; none more than the one
  /// before.
  std::vector<double> marginal_values(int wanted) const {
    const double span_s = static_cast<double>(scaled_.size()) * service_.window_s;
    const double work = forecast_.ahead() > 0 ? forecast_.ahead() : total_ / std::max(span_s, 1e-9);
    const double requests_per_s = request_work_s_ > 0 ? work / request_work_s_ : 0;
    std::vector<double> values;
    double before = share_missed(service_.min_replicas);
    double most = requests_per_s;
    for (int n = service_.min_replicas + 1; n <= wanted + 1; ++n) {
      const double after = share_missed(n);
      most = std::clamp(requests_per_s * (before - after), 0.0, most);
      values.push_back(most);
      before = after;
    }
    return values;
  }

  const ScaledService service_;
  const ScalingTuning tuning_;
  const WorkRates rates_;
  ChosenForecast forecast_;
  double output_tokens_ = 0, prompt_s_ = 0, efficiency_ = 1;
  double request_work_s_ = 0;  ///< of a request, lately
  double seen_ = 0;
  double busy_s_ = -1e9;  ///< never
  std::deque<double> windows_;
  double period_work_ = 0, period_left_s_ = kPeriod_s;
  std::vector<double> scaled_;
  double total_ = 0;
  std::deque<Wanted> wanted_;
};

}  // namespace

std::unique_ptr<ScalingPolicy> make_queueing(const ScaledService& service) {
  return std::make_unique<Queueing>(service);
}

}  // namespace berth::core
