#include "core/sharing/fair_share.h"

#include <algorithm>
#include <limits>

namespace berth::core {
namespace {

constexpr double kTiny = 1e-12;

double at_level(const Claimant& c, double level) {
  const double most = c.demand.dominant();
  return std::min(std::max(c.weight * level, std::min(c.floor, most)), most);
}

}  // namespace

std::vector<double> fair_shares(std::span<const Claimant> claimants, const ShareVector& capacity) {
  std::vector<double> share(claimants.size(), 0);
  std::vector<bool> open(claimants.size());
  size_t left = 0;
  for (size_t i = 0; i < claimants.size(); ++i) {
    open[i] = claimants[i].demand.dominant() > kTiny;
    left += open[i];
  }
  const auto per_share = [&](size_t i, size_t r) {  // use of dimension r per unit dominant share
    return claimants[i].demand.of[r] / claimants[i].demand.dominant();
  };

  const auto used_of = [&](size_t r, double level) {
    double used = 0;
    for (size_t i = 0; i < claimants.size(); ++i)
      if (claimants[i].demand.of[r] > kTiny)
        used += (open[i] ? at_level(claimants[i], level) : share[i]) * per_share(i, r);
    return used;
  };

  double level = 0;
  // Each round passes a point at which a queue starts to rise, is satisfied, or meets a full
  // dimension: at most twice the queues and once the dimensions.
  for (size_t round = 0; left > 0 && round < 2 * claimants.size() + kShareDimensions + 1; ++round) {
    // Up to `next`, use is linear in the level.
    double next = std::numeric_limits<double>::infinity();
    const auto rises_at = [&](const Claimant& c) {
      return std::min(c.floor, c.demand.dominant()) / c.weight;
    };
    for (size_t i = 0; i < claimants.size(); ++i) {
      if (!open[i]) continue;
      const Claimant& c = claimants[i];
      next = std::min(next,
                      rises_at(c) > level + kTiny ? rises_at(c) : c.demand.dominant() / c.weight);
    }
    for (size_t r = 0; r < kShareDimensions; ++r) {
      double slope = 0;
      for (size_t i = 0; i < claimants.size(); ++i)
        if (open[i] && claimants[i].demand.of[r] > kTiny && rises_at(claimants[i]) <= level + kTiny)
          slope += claimants[i].weight * per_share(i, r);
      if (slope > kTiny)
        next = std::min(next, level + std::max(0.0, capacity.of[r] - used_of(r, level)) / slope);
    }
    level = std::max(level, next);
    std::array<bool, kShareDimensions> full{};
    for (size_t r = 0; r < kShareDimensions; ++r)
      full[r] = used_of(r, level) >= capacity.of[r] - kTiny;
    for (size_t i = 0; i < claimants.size(); ++i) {
      if (!open[i]) continue;
      bool closed = claimants[i].weight * level >= claimants[i].demand.dominant() - kTiny;
      for (size_t r = 0; r < kShareDimensions; ++r)
        closed |= full[r] && claimants[i].demand.of[r] > kTiny;
      if (!closed) continue;
      share[i] = at_level(claimants[i], level);
      open[i] = false;
      --left;
    }
  }
  for (size_t i = 0; i < claimants.size(); ++i)
    if (open[i]) share[i] = at_level(claimants[i], level);
  return share;
}

}  // namespace berth::core
