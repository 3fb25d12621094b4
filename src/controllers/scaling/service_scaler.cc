#include "controllers/scaling/service_scaler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace berth::controllers {
namespace {

constexpr int64_t kSecond_ns = 1'000'000'000;
/// So long after its end a window may still be told of.
constexpr Duration kTelling = Duration::milliseconds(250);
/// It is told again every second.
constexpr Duration kHeldFor = Duration::seconds(3);
constexpr Duration kSilence = Duration::seconds(5);
constexpr size_t kShapes = 32;

}  // namespace

ServiceScaler::ServiceScaler(ScalingSpec spec, const Given& given, const JsonObject& measured)
    : spec_(std::move(spec)), choice_(spec_.service.tuning.hold_s) {
  const Json left(measured);
  const size_t count = spec_.chooses() ? spec_.variants.size() : 1;
  for (size_t i = 0; i < count; ++i)
    models_.emplace_back(spec_, i < given.size() ? given[i] : std::nullopt,
                         spec_.chooses()
                             ? objects::find_object(left, {"variants", spec_.variants[i].name})
                             : measured);
  decisions_.resize(count);
  full_.resize(count);
}

void ServiceScaler::on_demand(int64_t second, const documents::ModelDemand& demand, double share,
                              const VariantOf& variant_of, Time now) {
  heard_at_ = now;
  if (demand.held) held_at_ = now;
  const int64_t latest = now.ns / kSecond_ns;
  Window& window = open_[std::clamp(second, std::min(last_closed_ + 1, latest), latest)];
  core::ServiceSample& sum = window.sample;
  const core::ServiceSample& more = demand.sample;
  for (const auto field : {&core::ServiceSample::arrivals, &core::ServiceSample::prompt_tokens,
                           &core::ServiceSample::prompt_tokens2, &core::ServiceSample::ended,
                           &core::ServiceSample::output_tokens, &core::ServiceSample::missed,
                           &core::ServiceSample::concurrency, &core::ServiceSample::waiting})
    sum.*field += share * more.*field;
  // Without a choice there is one model of all that answers.
  for (const auto& [request, pod] : demand.served)
    window.served.push_back({request, spec_.chooses() ? variant_of(pod) : 0});
}

void ServiceScaler::on_started(size_t variant, Duration lead) {
  models_[std::min(variant, models_.size() - 1)].on_started(lead);
}

/// The most that earlier policies wanted during `hold`.
int ServiceScaler::wanted_before() const {
  int most = 0;
  for (const Wanted& each : wanted_)
    if (each.window <= models_.front().policy_began() &&
        static_cast<double>(closed_ - each.window) <= spec_.service.tuning.hold_s)
      most = std::max(most, each.replicas);
  return most;
}

void ServiceScaler::close_windows(int ready, Time now) {
  while (!open_.empty()) {
    const auto first = open_.begin();
    const Time end{(first->first + 1) * kSecond_ns};
    if (end + kTelling > now) break;
    last_closed_ = std::max(last_closed_, first->first);
    close(first->second, ready);
    open_.erase(first);
  }
}

void ServiceScaler::close(const Window& window, int ready) {
  history_.push(window.sample);
  ++closed_;
  for (const auto& [each, variant] : window.served) {
    if (variant && *variant < models_.size())
      models_[*variant].on_answer(each, window.sample.prompt_tokens / std::max(1, ready));
    shapes_.push_back({std::max(1, each.prompt_tokens), std::max(1, each.output_tokens)});
    if (shapes_.size() > kShapes) shapes_.pop_front();
  }
}

bool ServiceScaler::is_held(Time now) const {
  return held_at_ && now - *held_at_ <= kHeldFor;
}

/// Replicas that the requests that run fill; not more than there are.
int ServiceScaler::needed_for_what_runs(const ReplicaCounts& counts) const {
  const core::ServiceSample latest =
      history_.latest().empty() ? core::ServiceSample{} : history_.latest().back();
  const double running = latest.concurrency - latest.waiting;
  const int needed = static_cast<int>(std::ceil(running / spec_.service.max_in_flight - 1e-9));
  return std::min({needed, spec_.service.max_replicas, counts.ordered});
}

ScalingVerdict ServiceScaler::decide(const ServiceCounts& counts, Time now) {
  close_windows(counts.ready, now);
  // What the policies say, once for every window.
  if (closed_ > 0 && decided_ != closed_) {
    const int have = std::max(0, counts.ordered - spec_.standby);  // policies know of no standby
    for (size_t i = 0; i < models_.size(); ++i)
      decisions_[i] =
          models_[i].decide({.now_s = static_cast<double>(closed_) * spec_.service.window_s,
                             .samples = history_.latest(),
                             .ready = std::min(counts.ready, have),
                             .starting = std::max(0, have - counts.ready)},
                            closed_, shapes_);
    decided_ = closed_;
    wanted_.push_back({closed_, decisions_.front().replicas});
    while (static_cast<double>(closed_ - wanted_.front().window) > spec_.service.tuning.hold_s)
      wanted_.pop_front();
  }
  ScalingVerdict verdict = spec_.chooses() ? decide_mix(counts, now) : decide_count(counts, now);
  if (closed_ > 0) verdict.reason += circumstances();
  verdict.measured = measured();
  return verdict;
}

ScalingVerdict ServiceScaler::decide_count(const ReplicaCounts& counts, Time now) {
  const core::ScaledService& service = spec_.service;
  const core::ScalingDecision& decision = decisions_.front();
  // 1. What the policy says.
  ScalingVerdict verdict;
  verdict.replicas = decision.replicas;
  verdict.reason = decision.reason;
  if (closed_ == 0) {
    verdict.replicas = core::within_bounds(service, counts.ordered);
    verdict.reason = "no gateway has told of requests yet";
  } else if (!heard_at_ || now - *heard_at_ > kSilence) {
    verdict.reason += "; no gateway has told anything since, so it stays";
  } else if (const int kept = std::min(wanted_before(), counts.ordered);
             verdict.replicas > 0 && verdict.replicas < kept) {
    verdict.replicas = kept;
    verdict.reason += fmt::format("; {} are kept, as wanted not long ago", kept);
  }
  if (const int most = std::max({1, service.min_replicas, counts.ordered});
      models_.front().is_guess() && verdict.replicas > most) {
    verdict.replicas = most;
    verdict.reason += fmt::format("; {} until {} answers were measured", most, kMeasured);
  }
  // 2. What runs is answered, and what waits for a first replica gets one.
  if (const int needed = needed_for_what_runs(counts); verdict.replicas < needed) {
    verdict.replicas = needed;
    verdict.reason += fmt::format("; {} are needed for what runs", needed);
  }
  if (is_held(now) && verdict.replicas == 0) {
    verdict.replicas = 1;
    verdict.reason = "a request waits, and nothing runs that could answer it";
  }
  // 3. What stands by: beyond the load, not beyond the minimum.
  if (spec_.standby > 0) {
    int load = verdict.replicas;
    if (closed_ > 0 && load == service.min_replicas && spec_.policy->name == "queueing")
      load = std::min(load, static_cast<int>(std::ceil(decision.needed)));
    if (closed_ == 0) load = std::max(0, load - spec_.standby);
    const int with_standby = std::min(service.max_replicas, load + spec_.standby);
    verdict.reason += fmt::format("; {} of them stand by", with_standby - load);
    verdict.replicas = std::max(verdict.replicas, with_standby);
  }
  // 4. Not more than one that no node takes.
  const int placed = std::max(counts.ready, counts.ordered - counts.unplaceable);
  if (counts.unplaceable > 0 && verdict.replicas > placed) {
    if (verdict.replicas > placed + 1)
      verdict.reason += fmt::format("; {} are wanted, asked for one at a time", verdict.replicas);
    verdict.replicas = std::max(service.min_replicas, placed + 1);
    verdict.reason += "; one cannot be placed: " + counts.why_unplaceable;
  }
  if (decided_ >= 0) verdict.growth = {service.min_replicas, decision.marginal_values};
  return verdict;
}

std::string ServiceScaler::circumstances() const {
  const core::ServiceView view{.now_s = 0, .samples = history_.latest(), .ready = 0, .starting = 0};
  const auto rate = [&](double core::ServiceSample::* field) {
    return core::mean_over(view, 1, 15, field);
  };
  const double arrivals = rate(&core::ServiceSample::arrivals);
  const double ended = rate(&core::ServiceSample::ended);
  std::string text = fmt::format("; {:.1f} requests/s of late", arrivals);
  if (arrivals > 0 && ended > 0)
    text += fmt::format(" of {:.0f} tokens in and {:.0f} out",
                        rate(&core::ServiceSample::prompt_tokens) / arrivals,
                        rate(&core::ServiceSample::output_tokens) / ended);
  if (!spec_.chooses()) text += "; " + models_.front().text();
  return text;
}

JsonObject ServiceScaler::measured() const {
  JsonObject measured{{"policy", spec_.policy->name}};
  if (!spec_.chooses()) {
    for (const auto& [name, value] : models_.front().measured()) measured[name] = value;
    return measured;
  }
  JsonObject variants;
  for (size_t i = 0; i < models_.size(); ++i)
    variants[spec_.variants[i].name] = models_[i].measured();
  measured["variants"] = std::move(variants);
  return measured;
}

}  // namespace berth::controllers
