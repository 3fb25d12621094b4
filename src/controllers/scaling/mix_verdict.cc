// The part of ServiceScaler that chooses among variants.

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "controllers/scaling/service_scaler.h"

namespace berth::controllers {
namespace {

/// A variant of which no node took one more is not tried again for so long, where others do.
constexpr Duration kFullFor = Duration::minutes(1);
constexpr Duration kSilence = Duration::seconds(5);

std::string money(double micro) {
  return fmt::format("{:.4g}/h", micro / 1e6);
}

/// `2 small and 1 large`.
std::string text_of(const core::Mix& mix, const ScalingSpec& spec) {
  std::string text;
  for (size_t i = 0; i < mix.size(); ++i)
    if (mix[i] > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : " and ", mix[i], spec.variants[i].name);
  return text.empty() ? "none" : text;
}

int total(const core::Mix& mix) {
  return std::accumulate(mix.begin(), mix.end(), 0);
}

}  // namespace

std::vector<core::VariantView> ServiceScaler::view_variants(const ServiceCounts& counts, Time now) {
  std::vector<core::VariantView> views;
  for (size_t i = 0; i < models_.size(); ++i) {
    const VariantCounts& now_there = counts.variants[i];
    const ReplicaModel& model = models_[i];
    core::VariantView view{.needed = closed_ > 0 ? decisions_[i].needed : 0,
                           .per_hour = now_there.per_hour,
                           .start_s = model.lead_s(),
                           .ordered = now_there.ordered,
                           .ready = now_there.ready};
    view.rank = model.is_guess() ? 1 : model.keeps_objective() ? 0 : 2;
    Full& full = full_[i];
    const int placed = std::max(now_there.ready, now_there.ordered - now_there.unplaceable);
    if (now_there.unplaceable > 0) full = {placed, now + kFullFor, now_there.why_unplaceable};
    if (placed > full.placed || full.until <= now) full = {};
    if (full.until > now) view.most = full.placed;
    // A guess is good for one.
    if (model.is_guess())
      view.most = std::min(view.most, std::max(1 + spec_.standby, now_there.ordered));
    if (!now_there.obstacle.empty()) view.most = 0;
    views.push_back(view);
  }
  return views;
}

ScalingVerdict ServiceScaler::decide_mix(const ServiceCounts& counts, Time now) {
  const core::ScaledService& service = spec_.service;
  ScalingVerdict verdict;
  for (const VariantCounts& each : counts.variants) verdict.of_variants.push_back(each.ordered);
  verdict.replicas = counts.ordered;
  const bool silent = !heard_at_ || now - *heard_at_ > kSilence;
  const int least = std::min(service.max_replicas, std::max(service.min_replicas, spec_.standby));
  if (silent && !is_held(now) && (closed_ > 0 || counts.ordered >= least)) {
    verdict.reason = closed_ == 0 ? "no gateway has told of requests yet"
                                  : "no gateway has told anything of late, so it stays";
    return verdict;
  }
  // 1. What the load needs, and the mix for it.
  std::vector<core::VariantView> views = view_variants(counts, now);
  const bool idle = std::ranges::all_of(views, [](const auto& view) { return view.needed <= 0; });
  core::VariantBounds bounds{.least = std::max({service.min_replicas, needed_for_what_runs(counts),
                                                idle && !is_held(now) ? 0 : 1}),
                             .most = service.max_replicas,
                             .standby = spec_.standby};
  if (std::ranges::all_of(models_, &ReplicaModel::is_guess))
    bounds.most = std::clamp(counts.ordered, std::max({1, bounds.least, least}), bounds.most);
  core::VariantDecision chosen = choice_.decide(views, bounds, static_cast<double>(closed_));
  // 2. Where no variant has room, one replica more is asked for, of the one that would be best.
  std::optional<size_t> full;
  const auto key = [&](size_t i) {
    return std::pair(views[i].rank, views[i].needed * static_cast<double>(views[i].per_hour.micro));
  };
  for (size_t i = 0; i < views.size(); ++i)
    if (full_[i].until > now && counts.variants[i].obstacle.empty() &&
        (!full || key(i) < key(*full)))
      full = i;
  if (full && (!chosen.enough || total(chosen.replicas) < bounds.least)) {
    ++views[*full].most;
    chosen = choice_.decide(views, bounds, static_cast<double>(closed_));
  }
  verdict.of_variants = chosen.replicas;
  verdict.replicas = total(chosen.replicas);
  verdict.reason = !idle          ? "the load foreseen"
                   : is_held(now) ? "a request waits, and nothing runs that could answer it"
                                  : "no load";
  say_why(counts, views, chosen, verdict);
  // 3. What more of the variant that bears most are worth.
  if (decided_ >= 0) {
    size_t most = 0;
    const auto bears = [&](size_t i) {
      return chosen.replicas[i] / std::max(1e-9, views[i].needed);
    };
    for (size_t i = 1; i < views.size(); ++i)
      if (bears(i) > bears(most)) most = i;
    verdict.growth = {service.min_replicas, decisions_[most].marginal_values};
  }
  return verdict;
}

void ServiceScaler::say_why(const ServiceCounts& counts,
                            const std::vector<core::VariantView>& views,
                            const core::VariantDecision& chosen, ScalingVerdict& verdict) const {
  double cost = 0;
  for (size_t i = 0; i < views.size(); ++i)
    cost += chosen.replicas[i] * static_cast<double>(views[i].per_hour.micro);
  verdict.reason += fmt::format(": {}", text_of(chosen.replicas, spec_));
  if (cost > 0) verdict.reason += fmt::format(" for {}", money(cost));
  if (chosen.switching)
    verdict.reason += fmt::format("; {} are on the way, the others go when these answer",
                                  text_of(chosen.cheapest, spec_));
  else if (chosen.saves_per_hour > 0)
    verdict.reason += fmt::format(
        "; {} instead would save {}: when that has paid for the change, in {:.0f} s",
        text_of(chosen.cheapest, spec_), money(chosen.saves_per_hour), chosen.pays_in_s);
  if (spec_.standby > 0) verdict.reason += fmt::format("; {} of them stand by", spec_.standby);
  if (!chosen.enough) verdict.reason += "; more would be needed than may be had";
  for (size_t i = 0; i < views.size(); ++i) {
    const core::VariantView& view = views[i];
    const double price = static_cast<double>(view.per_hour.micro);
    const int alone = std::max(chosen.replicas[i] > 0 ? 1 : 0,
                               static_cast<int>(std::min(1e6, std::ceil(view.needed - 1e-6))));
    std::string text = fmt::format("{} wanted", chosen.replicas[i]);
    if (chosen.replicas[i] > 0 && price > 0) text += ", " + money(chosen.replicas[i] * price);
    if (alone > 0 && alone != chosen.replicas[i])
      text += fmt::format("; the load would need {} of it alone", alone) +
              (price > 0 ? ", " + money(alone * price) : "");
    if (!counts.variants[i].obstacle.empty()) {
      text += "; it does not fit";
    } else if (view.rank == 1) {
      text += fmt::format("; not measured (until {} answers), so it comes after those that are",
                          kMeasured);
    } else if (view.rank == 2) {
      text += "; one request at a time already misses the objective, so it comes last";
    }
    if (full_[i].until.ns > 0)
      text += fmt::format("; no room for more than {}: {}", full_[i].placed, full_[i].why);
    verdict.variant_reasons.push_back(text + "; " + models_[i].text());
  }
}

}  // namespace berth::controllers
