#include "core/scaling/variants/mix.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace berth::core {
namespace {

constexpr double kRounding = 1e-9;
constexpr int kMostNodes = 20'000;

double share_of(const MixPart& part) {
  return 1 / std::max(part.needed, kRounding);
}

double price(const MixPart& part) {
  return static_cast<double>(part.per_hour.micro);
}

/// Parts in the order of a key, those of one key as they were.
template <class Key>
std::vector<size_t> ordered_by(std::span<const MixPart> parts, Key key) {
  std::vector<size_t> order(parts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return key(parts[i]); });
  return order;
}

class Search {
 public:
  Search(std::span<const MixPart> parts, int least, int most)
      : parts_(parts),
        least_(least),
        most_(most),
        by_value_(ordered_by(parts, [](const MixPart& p) { return price(p) / share_of(p); })),
        by_price_(ordered_by(parts, price)) {}

  std::optional<Mix> run(double load) {
    Mix mix;
    double left = load;
    int total = 0;
    for (const MixPart& part : parts_) {
      mix.push_back(part.least);
      left -= part.least * share_of(part);
      total += part.least;
    }
    const double cost = cost_of_mix(mix, parts_);
    place(0, left, total, cost, mix);
    // What the bound on nodes might have kept from it.
    for (size_t i = 0; i < parts_.size(); ++i) {
      const int more = enough(i, left);
      if (more > most_ - total || more > parts_[i].most - mix[i]) continue;
      Mix alone = mix;
      alone[i] += more;
      take(std::move(alone));
    }
    return best_;
  }

 private:
  /// Replicas of a part that bear what is left; more than there may be where it bears nothing.
  int enough(size_t part, double left) const {
    if (left <= kRounding) return 0;
    return static_cast<int>(std::min(1e9, std::ceil(left / share_of(parts_[part]) - kRounding)));
  }

  void place(size_t level, double left, int total, double cost, Mix& mix) {
    if (left <= kRounding) return take(mix);
    if (level == by_value_.size() || ++nodes_ > kMostNodes) return;
    const size_t i = by_value_[level];
    const double price_of_share = price(parts_[i]) / share_of(parts_[i]);
    if (best_ && cost + left * price_of_share >= best_cost_) return;
    const int before = mix[i];
    const int most = std::min({enough(i, left), parts_[i].most - before, most_ - total});
    for (int more = std::max(0, most); more >= 0; --more) {
      mix[i] = before + more;
      place(level + 1, left - more * share_of(parts_[i]), total + more,
            cost + more * price(parts_[i]), mix);
    }
    mix[i] = before;
  }

  /// A mix that bears the load; filled up to the least count with what is cheapest.
  void take(Mix mix) {
    int missing = least_ - std::accumulate(mix.begin(), mix.end(), 0);
    for (const size_t i : by_price_) {
      const int more = std::clamp(missing, 0, std::max(0, parts_[i].most - mix[i]));
      mix[i] += more;
      missing -= more;
    }
    const double cost = cost_of_mix(mix, parts_);
    if (missing > 0 || (best_ && cost >= best_cost_)) return;
    best_ = std::move(mix);
    best_cost_ = cost;
  }

  const std::span<const MixPart> parts_;
  const int least_, most_;
  const std::vector<size_t> by_value_, by_price_;
  std::optional<Mix> best_;
  double best_cost_ = 0;
  int nodes_ = 0;
};

}  // namespace

double borne_by(const Mix& mix, std::span<const MixPart> parts) {
  double sum = 0;
  for (size_t i = 0; i < parts.size(); ++i) sum += mix[i] * share_of(parts[i]);
  return sum;
}

double cost_of_mix(const Mix& mix, std::span<const MixPart> parts) {
  double sum = 0;
  for (size_t i = 0; i < parts.size(); ++i) sum += mix[i] * price(parts[i]);
  return sum;
}

std::optional<Mix> cheapest_mix(std::span<const MixPart> parts, double load, int least, int most) {
  return Search(parts, std::min(least, most), most).run(load);
}

Mix largest_mix(std::span<const MixPart> parts, int most) {
  Mix mix(parts.size());
  for (const size_t i : ordered_by(parts, [](const MixPart& part) {
         return std::pair(-share_of(part), part.per_hour.micro);
       })) {
    if (!std::isfinite(parts[i].needed)) continue;
    mix[i] = std::clamp(parts[i].most, 0, std::max(0, most));
    most -= mix[i];
  }
  return mix;
}

}  // namespace berth::core
