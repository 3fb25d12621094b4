#include "controllers/scaling/replica_model.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/scaling/serving/work_rates.h"
#include "documents/profile_document.h"

namespace berth::controllers {
namespace {

constexpr double kUsualLead_s = 30;
constexpr size_t kLeads = 5;
/// What a profile is believed to: one that was fitted, one that an earlier run left, a guess.
constexpr double kGiven = 0.1, kLeft = 0.3, kGuessed = 1;
/// Another policy object where the profile or the lead time differ by more, relative.
constexpr double kChange = 0.15;
constexpr int64_t kLeastAge = 5;  ///< windows

/// Lengths of requests before any were seen.
constexpr core::RequestShape kUsual = {256, 128};

/// Nothing is known: with all its sequences busy a replica is half as slow as it may be.
core::ServingProfile guess(core::ScaledService service) {
  service.objective = core::planned(service.objective, {&kUsual, 1});
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

double output_tokens(const ReplicaModel::Shapes& shapes) {
  double sum = 0;
  for (const core::RequestShape& shape : shapes) sum += shape.output_tokens;
  return shapes.empty() ? 0 : sum / static_cast<double>(shapes.size());
}

}  // namespace

ReplicaModel::ReplicaModel(const ScalingSpec& spec,
                           const std::optional<Result<core::ServingProfile>>& given,
                           const JsonObject& measured)
    : spec_(spec) {
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
  learned_ = start;
  fit_.emplace(start, belief);
  if (const Json* lead = objects::find(left, {"leadSeconds"}); lead != nullptr && lead->is_number())
    leads_s_.push_back(std::clamp(lead->to_number<double>(), 0.0, 3600.0));
}

void ReplicaModel::on_answer(const core::ServedRequest& request, double prompt_tokens_per_s) {
  fit_->observe(request, prompt_tokens_per_s);
}

void ReplicaModel::on_started(Duration lead) {
  leads_s_.push_back(std::max(0.0, lead.to_seconds()));
  if (leads_s_.size() > kLeads) leads_s_.pop_front();
}

bool ReplicaModel::is_guess() const {
  return guessed_ && fit_->observed() < kMeasured;
}

double ReplicaModel::lead_s() const {
  if (!leads_s_.empty()) return std::max(1.0, *std::ranges::max_element(leads_s_));
  const double told = fit_->profile().load_s;
  return told > 0 ? told : kUsualLead_s;
}

bool ReplicaModel::is_outdated(int64_t closed, const Shapes& shapes) const {
  if (!policy_) return true;
  if (closed - policy_began_ < kLeastAge) return false;
  const int busy = std::max(1, spec_.service.max_in_flight / 2);
  const auto per_token_s = [](const core::ServingProfile& profile) {
    const auto* cost = std::get_if<core::LinearCost>(&profile.cost);
    return cost == nullptr ? 0 : cost->per_token_s;
  };
  return differs(iteration_s(fit_->profile(), busy), iteration_s(learned_, busy)) ||
         differs(iteration_s(fit_->profile(), 1), iteration_s(learned_, 1)) ||
         differs(per_token_s(fit_->profile()), per_token_s(learned_)) ||
         differs(lead_s(), policy_lead_s_) || differs(output_tokens(shapes), policy_output_);
}

void ReplicaModel::begin(int64_t closed, const Shapes& shapes) {
  learned_ = fit_->profile();
  policy_lead_s_ = lead_s();
  policy_began_ = closed;
  core::ScaledService service = spec_.service;
  service.profile = &profile_;
  service.cold_start_s = policy_lead_s_;
  service.unrounded = spec_.chooses() || spec_.standby > 0;
  service.shapes.assign(shapes.begin(), shapes.end());
  if (service.shapes.empty()) service.shapes = {kUsual};
  service.objective = core::planned(service.objective, service.shapes);
  policy_output_ = output_tokens(shapes);
  // Only a choice asks: it takes a while to work out.
  keeps_objective_ =
      !spec_.chooses() ||
      core::replica_capacity(learned_, {.shapes = service.shapes}, service.objective) > 0;
  profile_ = as_bounded(learned_, service);
  policy_ = spec_.policy->make(service);
}

core::ScalingDecision ReplicaModel::decide(const core::ServiceView& view, int64_t closed,
                                           const Shapes& shapes) {
  if (is_outdated(closed, shapes)) begin(closed, shapes);
  return policy_->decide(view);
}

std::string ReplicaModel::text() const {
  std::string text =
      fmt::format("a full replica takes {:.1f} ms a token (+-{:.0f}%), a start {:.0f} s",
                  1e3 * iteration_s(learned_, spec_.service.max_in_flight),
                  100 * fit_->uncertainty(), lead_s());
  if (!no_profile_.empty()) text += fmt::format("; measured from here on: {}", no_profile_);
  return text;
}

JsonObject ReplicaModel::measured() const {
  JsonObject measured{{"observedRequests", fit_->observed()},
                      {"uncertaintyPercent", std::round(100 * fit_->uncertainty())}};
  if (!leads_s_.empty()) measured["leadSeconds"] = lead_s();
  // A profile of kernel measurements is given, and stays as it is.
  if (fit_->observed() > 0 && std::holds_alternative<core::LinearCost>(fit_->profile().cost))
    measured["profile"] = documents::profile_to_document(fit_->profile(), spec_.model);
  return measured;
}

}  // namespace berth::controllers
