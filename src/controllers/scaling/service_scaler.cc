#include "controllers/scaling/service_scaler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/scaling/serving/work_rates.h"
#include "documents/profile_document.h"

namespace berth::controllers {
namespace {

constexpr int64_t kSecond_ns = 1'000'000'000;
/// So long after its end a window may still be told of.
constexpr Duration kTelling = Duration::milliseconds(250);
/// It is told again every second.
constexpr Duration kHeldFor = Duration::seconds(3);
constexpr Duration kSilence = Duration::seconds(5);
constexpr double kUsualLead_s = 30;
constexpr size_t kLeads = 5, kShapes = 32;
/// What a profile is believed to: one that was fitted, one that an earlier run left, a guess.
constexpr double kGiven = 0.1, kLeft = 0.3, kGuessed = 1;
/// Another policy object where the profile or the lead time differ by more, relative.
constexpr double kChange = 0.15;
constexpr int64_t kLeastAge = 5;  ///< windows
/// A guess is good for one replica, until so many answers were measured.
constexpr int kMeasured = 8;

/// Nothing is known: with all its sequences busy a replica is half as slow as it may be.
core::ServingProfile guess(const core::ScaledService& service) {
  const double sequence_s = service.objective.tpot_s / (4 * service.max_in_flight);
  core::LinearCost cost{.base_s = service.objective.tpot_s / 4};
  cost.per_token_s = std::min(service.objective.ttft_s / 4096, sequence_s);
  cost.per_sequence_s = sequence_s - cost.per_token_s;
  core::ServingProfile profile;
  profile.cost = cost;
  return profile;
}

double iteration_s(const core::ServingProfile& profile, int sequences) {
  core::Batch batch;
  batch.decodes = std::max(1, sequences);
  return profile.iteration_s(batch);
}

/// The profile as it is to a policy that knows the TPOT objective as the only bound on a batch.
/// Where the requests that a replica is given at once bound it before, it does n iterations'
/// tokens in a + n b, with prompts' work between: as one whose sequences share its fixed part, so
/// b + a / n and no fixed part. L < 1 / (W + a O / n) against (1 - a / T) / W, for requests of O
/// tokens and W seconds of work.
core::ServingProfile as_bounded(core::ServingProfile profile, const core::ScaledService& service) {
  auto* cost = std::get_if<core::LinearCost>(&profile.cost);
  if (cost == nullptr) return profile;
  const core::WorkRates rates =
      core::work_rates(profile, service.shapes, service.objective.tpot_s, service.max_in_flight);
  double work_s = 0, output = 0;
  for (const core::RequestShape& shape : service.shapes) {
    work_s += rates.work_s(shape.prompt_tokens, shape.output_tokens);
    output += shape.output_tokens;
  }
  const double shared_s = cost->base_s / service.max_in_flight;
  if (rates.capacity / work_s <= 1 / (work_s + shared_s * output)) return profile;
  cost->per_sequence_s += shared_s;
  cost->base_s = 0;
  return profile;
}

bool differs(double a, double b) {
  return std::abs(a - b) > kChange * std::max(a, b);
}

}  // namespace

ServiceScaler::ServiceScaler(ScalingSpec spec,
                             const std::optional<Result<core::ServingProfile>>& given,
                             const JsonObject& measured)
    : spec_(std::move(spec)) {
  const Json left(measured);
  core::ServingProfile start;
  double belief = kGuessed;
  if (given && !*given) no_profile_ = given->error().to_string();
  if (given && *given) {
    start = **given;
    belief = kGiven;
  } else if (const Json* document = objects::find(left, {"profile"})) {
    if (auto read = documents::profile_from_document(*document, "status")) {
      start = *std::move(read);
      belief = kLeft;
    }
  }
  guessed_ = belief == kGuessed;
  if (guessed_) start = guess(spec_.service);
  start.limits.max_sequences = spec_.service.max_in_flight;
  fit_.emplace(start, belief);
  if (const Json* lead = objects::find(left, {"leadSeconds"}); lead != nullptr && lead->is_number())
    leads_s_.push_back(std::clamp(lead->to_number<double>(), 0.0, 3600.0));
}

void ServiceScaler::on_demand(int64_t second, const documents::ModelDemand& demand, double share,
                              Time now) {
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
  window.served.insert(window.served.end(), demand.served.begin(), demand.served.end());
}

void ServiceScaler::on_started(Duration lead) {
  leads_s_.push_back(std::max(0.0, lead.to_seconds()));
  if (leads_s_.size() > kLeads) leads_s_.pop_front();
}

double ServiceScaler::lead_s() const {
  if (!leads_s_.empty()) return std::max(1.0, *std::ranges::max_element(leads_s_));
  const double told = fit_->profile().load_s;
  return told > 0 ? told : kUsualLead_s;
}

double ServiceScaler::output_tokens() const {
  double sum = 0;
  for (const core::RequestShape& shape : shapes_) sum += shape.output_tokens;
  return shapes_.empty() ? 0 : sum / static_cast<double>(shapes_.size());
}

/// The most that earlier policies wanted during `hold`.
int ServiceScaler::wanted_before() const {
  int most = 0;
  for (const Wanted& each : wanted_)
    if (each.window <= policy_began_ &&
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
  for (const core::ServedRequest& each : window.served) {
    fit_->observe(each, window.sample.prompt_tokens / std::max(1, ready));
    shapes_.push_back({std::max(1, each.prompt_tokens), std::max(1, each.output_tokens)});
    if (shapes_.size() > kShapes) shapes_.pop_front();
  }
}

bool ServiceScaler::policy_is_outdated() const {
  if (!policy_) return true;
  if (closed_ - policy_began_ < kLeastAge) return false;
  const int busy = std::max(1, spec_.service.max_in_flight / 2);
  const auto per_token_s = [](const core::ServingProfile& profile) {
    const auto* cost = std::get_if<core::LinearCost>(&profile.cost);
    return cost == nullptr ? 0 : cost->per_token_s;
  };
  return differs(iteration_s(fit_->profile(), busy), iteration_s(learned_, busy)) ||
         differs(iteration_s(fit_->profile(), 1), iteration_s(learned_, 1)) ||
         differs(per_token_s(fit_->profile()), per_token_s(learned_)) ||
         differs(lead_s(), policy_lead_s_) || differs(output_tokens(), policy_output_);
}

void ServiceScaler::begin_policy() {
  learned_ = fit_->profile();
  policy_lead_s_ = lead_s();
  policy_began_ = closed_;
  core::ScaledService service = spec_.service;
  service.profile = &profile_;
  service.cold_start_s = policy_lead_s_;
  service.shapes.assign(shapes_.begin(), shapes_.end());
  if (service.shapes.empty()) service.shapes = {{256, 128}};
  policy_output_ = output_tokens();
  profile_ = as_bounded(learned_, service);
  policy_ = spec_.policy->make(service);
}

ScalingVerdict ServiceScaler::decide(const ReplicaCounts& counts, Time now) {
  close_windows(counts.ready, now);
  const core::ScaledService& service = spec_.service;
  // 1. What the policy says, once for every window.
  if (closed_ > 0 && decided_ != closed_) {
    if (policy_is_outdated()) begin_policy();
    decision_ = policy_->decide({.now_s = static_cast<double>(closed_) * service.window_s,
                                 .samples = history_.latest(),
                                 .ready = counts.ready,
                                 .starting = std::max(0, counts.ordered - counts.ready)});
    decided_ = closed_;
    wanted_.push_back({closed_, decision_.replicas});
    while (static_cast<double>(closed_ - wanted_.front().window) > service.tuning.hold_s)
      wanted_.pop_front();
  }
  ScalingVerdict verdict;
  verdict.replicas = decision_.replicas;
  verdict.reason = decision_.reason;
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
      guessed_ && fit_->observed() < kMeasured && verdict.replicas > most) {
    verdict.replicas = most;
    verdict.reason += fmt::format("; {} until {} answers were measured", most, kMeasured);
  }
  // 2. What runs is answered, and what waits for a first replica gets one.
  const core::ServiceSample latest =
      history_.latest().empty() ? core::ServiceSample{} : history_.latest().back();
  const int needed = std::min(
      service.max_replicas,
      static_cast<int>(
          std::ceil((latest.concurrency - latest.waiting) / service.max_in_flight - 1e-9)));
  if (verdict.replicas < std::min(needed, counts.ordered)) {
    verdict.replicas = std::min(needed, counts.ordered);
    verdict.reason += fmt::format("; {} are needed for what runs", verdict.replicas);
  }
  const bool held = held_at_ && now - *held_at_ <= kHeldFor;
  if (held && verdict.replicas == 0) {
    verdict.replicas = 1;
    verdict.reason = "a request waits, and nothing runs that could answer it";
  }
  // 3. Not more than one that no node takes.
  const int placed = std::max(counts.ready, counts.ordered - counts.unplaceable);
  if (counts.unplaceable > 0 && verdict.replicas > placed) {
    if (verdict.replicas > placed + 1)
      verdict.reason += fmt::format("; {} are wanted, asked for one at a time", verdict.replicas);
    verdict.replicas = std::max(service.min_replicas, placed + 1);
    verdict.reason += "; one cannot be placed: " + counts.why_unplaceable;
  }
  if (closed_ > 0) verdict.reason += circumstances();
  verdict.measured = measured();
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
  const double seconds = iteration_s(learned_, spec_.service.max_in_flight);
  text += fmt::format("; a full replica takes {:.1f} ms a token (+-{:.0f}%), a start {:.0f} s",
                      1e3 * seconds, 100 * fit_->uncertainty(), lead_s());
  if (!no_profile_.empty()) text += fmt::format("; measured from here on: {}", no_profile_);
  return text;
}

JsonObject ServiceScaler::measured() const {
  JsonObject measured{{"policy", spec_.policy->name},
                      {"observedRequests", fit_->observed()},
                      {"uncertaintyPercent", std::round(100 * fit_->uncertainty())}};
  if (!leads_s_.empty()) measured["leadSeconds"] = lead_s();
  // A profile of kernel measurements is given, and stays as it is.
  if (fit_->observed() > 0 && std::holds_alternative<core::LinearCost>(fit_->profile().cost))
    measured["profile"] = documents::profile_to_document(fit_->profile(), spec_.model);
  return measured;
}

}  // namespace berth::controllers
