#include "core/scaling/variants/variant_choice.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace berth::core {
namespace {

constexpr double kRounding = 1e-6;
constexpr double kSecondsPerHour = 3600;

int total(const Mix& mix) {
  return std::accumulate(mix.begin(), mix.end(), 0);
}

/// Those up to a rank bear load, as many as find a place; the others bear none, and get no more.
std::vector<MixPart> parts_of(const std::vector<VariantView>& variants, int rank) {
  std::vector<MixPart> parts;
  for (const VariantView& each : variants) {
    const bool used = each.rank <= rank;
    parts.push_back({.needed = used ? each.needed : std::numeric_limits<double>::infinity(),
                     .per_hour = each.per_hour,
                     .most = used ? each.most : 0});
  }
  return parts;
}

std::vector<MixPart> between(std::vector<MixPart> parts, const Mix& least, const Mix* most) {
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i].least = least[i];
    parts[i].most = most != nullptr ? (*most)[i] : std::max(parts[i].most, least[i]);
  }
  return parts;
}

/// Where replicas that the load does not need are: the lowest rank, then the cheapest.
std::vector<size_t> standby_order(const std::vector<VariantView>& variants) {
  std::vector<size_t> order(variants.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(
      order, {}, [&](size_t i) { return std::pair(variants[i].rank, variants[i].per_hour.micro); });
  return order;
}

/// What it costs to have the new replicas while they start, and the old ones meanwhile.
double cost_of_change(const std::vector<VariantView>& variants, const Mix& from, const Mix& to) {
  double cost = 0, start_s = 0;
  for (size_t i = 0; i < to.size(); ++i) {
    const double price_per_s = static_cast<double>(variants[i].per_hour.micro) / kSecondsPerHour;
    cost += std::max(0, to[i] - from[i]) * price_per_s * variants[i].start_s;
    if (to[i] > from[i]) start_s = std::max(start_s, variants[i].start_s);
  }
  for (size_t i = 0; i < to.size(); ++i)
    cost += std::max(0, from[i] - to[i]) * static_cast<double>(variants[i].per_hour.micro) /
            kSecondsPerHour * start_s;
  return cost;
}

/// Nothing that answers goes before what replaces it answers.
Mix make_before_break(const std::vector<VariantView>& variants, int least, const Mix& wanted,
                      const Mix& runs) {
  double answering = 0, left = 0;
  bool all_answer = true;
  Mix both = wanted;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double share =
        1 / (variants[i].needed > 0 ? variants[i].needed : static_cast<double>(std::max(1, least)));
    answering += variants[i].ready * share;
    left += std::min(variants[i].ready, wanted[i]) * share;
    all_answer = all_answer && variants[i].ready >= wanted[i];
    both[i] = std::max(both[i], runs[i]);
  }
  return all_answer || left >= std::min(1.0, answering) - kRounding ? wanted : both;
}

}  // namespace

/// What was needed of late counts as far as what runs bears it: as a multiple of the load.
double VariantChoice::load_to_bear(const std::vector<MixPart>& parts, double now_s) {
  Needed now{now_s, {}};
  for (const MixPart& part : parts) now.replicas.push_back(part.needed);
  if (!history_.empty() && history_.back().replicas.size() != parts.size()) history_.clear();
  history_.push_back(std::move(now));
  while (history_.front().at_s < now_s - hold_s_) history_.pop_front();
  double load = 1;
  for (size_t i = 0; i < parts.size(); ++i)
    for (const Needed& then : history_)
      if (parts[i].needed > 0 && std::isfinite(parts[i].needed) && std::isfinite(then.replicas[i]))
        load = std::max(load, then.replicas[i] / parts[i].needed);
  return load;
}

VariantDecision VariantChoice::decide(const std::vector<VariantView>& variants,
                                      const VariantBounds& bounds, double now_s) {
  VariantDecision decision;
  // 1. What runs, without what stands by.
  Mix runs;
  for (const VariantView& each : variants) runs.push_back(std::min(each.ordered, each.most));
  int standby = bounds.standby;
  const std::vector<size_t> standing = standby_order(variants);
  for (const size_t i : standing) {
    const int stands = std::min(standby, runs[i]);
    runs[i] -= stands;
    standby -= stands;
  }
  VariantBounds of_load = bounds;
  of_load.least = std::max(0, bounds.least - bounds.standby);
  // 2. The lowest ranks that can bear the load.
  const bool idle = std::ranges::all_of(variants, [](const auto& v) { return v.needed <= 0; });
  int rank = 0;
  std::vector<MixPart> parts = parts_of(variants, rank);
  while (rank < 2 && !cheapest_mix(parts, idle ? 0 : 1, of_load.least, bounds.most))
    parts = parts_of(variants, ++rank);
  // While some take over from others more runs than may stay.
  const double bears =
      std::min(borne_by(runs, parts), borne_by(largest_mix(parts, bounds.most), parts));
  const double load = idle ? 0 : std::max(1.0, std::min(load_to_bear(parts, now_s), bears));
  // 3. Keep, or change.
  weigh(variants, parts, runs, load, of_load, now_s, decision);
  if (!idle || of_load.least > 0) {
    const Mix wanted = std::move(decision.replicas);
    decision.replicas = make_before_break(variants, of_load.least, wanted, runs);
    decision.switching = decision.replicas != wanted;
  }
  // 4. What stands by.
  int more = std::min(bounds.standby, bounds.most - total(decision.replicas));
  for (const size_t i : standing) {
    const int room = std::clamp(more, 0, std::max(0, variants[i].most - decision.replicas[i]));
    decision.replicas[i] += room;
    more -= room;
  }
  last_s_ = now_s;
  return decision;
}

void VariantChoice::weigh(const std::vector<VariantView>& variants,
                          const std::vector<MixPart>& parts, const Mix& runs, double load,
                          const VariantBounds& bounds, double now_s, VariantDecision& decision) {
  const auto best = cheapest_mix(parts, load, bounds.least, bounds.most);
  const bool suffices = borne_by(runs, parts) >= load - kRounding && total(runs) >= bounds.least;
  const Mix nothing(parts.size());
  const std::vector<MixPart> kept =
      suffices ? between(parts, nothing, &runs) : between(parts, runs, nullptr);
  const auto keep =
      cheapest_mix(kept, load - (suffices ? kRounding : 0), bounds.least, bounds.most);
  decision.enough = keep || best;
  decision.cheapest = best ? *best : largest_mix(parts, bounds.most);
  if (!keep) {  // What runs cannot be made enough.
    foregone_ = 0;
    decision.replicas = decision.cheapest;
    return;
  }
  decision.replicas = *keep;
  if (!best) return;
  decision.saves_per_hour = cost_of_mix(*keep, parts) - cost_of_mix(*best, parts);
  if (decision.saves_per_hour <= 0) {
    decision.cheapest = *keep;
    foregone_ = decision.saves_per_hour = 0;
    return;
  }
  foregone_ += decision.saves_per_hour / kSecondsPerHour * (now_s - last_s_.value_or(now_s));
  const double costs = cost_of_change(variants, *keep, *best);
  decision.pays_in_s =
      std::max(0.0, (costs - foregone_) / decision.saves_per_hour * kSecondsPerHour);
  if (foregone_ < costs) return;
  foregone_ = decision.saves_per_hour = decision.pays_in_s = 0;
  decision.replicas = *best;
}

}  // namespace berth::core
