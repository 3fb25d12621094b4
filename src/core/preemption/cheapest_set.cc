#include "core/preemption/cheapest_set.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <queue>
#include <tuple>

namespace berth::core {
namespace {

/// Sets looked at in the order of their cost, tried or not.
constexpr int kMostSets = 20'000;

class Search {
 public:
  Search(std::span<const Costed> items, int64_t needed, std::vector<size_t> known, int tries,
         const std::function<bool(std::span<const size_t>)>& suffices)
      : items_(items),
        needed_(needed),
        best_(std::move(known)),
        tries_(tries),
        suffices_(suffices) {
    best_cost_ = best_.empty() ? std::numeric_limits<int64_t>::max() : cost_of(best_);
  }

  std::vector<size_t> run() {
    by_density();
    in_order_of_cost();
    while (replace_one()) {
    }
    return std::move(best_);
  }

 private:
  int64_t cost_of(std::span<const size_t> set) const {
    int64_t sum = 0;
    for (size_t i : set) sum += items_[i].cost;
    return sum;
  }
  int64_t size_of(std::span<const size_t> set) const {
    int64_t sum = 0;
    for (size_t i : set) sum += items_[i].size;
    return sum;
  }

  bool enough(std::vector<size_t> set) {
    if (size_of(set) < needed_ || tries_ == 0) return false;
    --tries_;
    std::sort(set.begin(), set.end());
    return suffices_(set);
  }

  void keep(std::vector<size_t> set) {
    const int64_t cost = cost_of(set);
    if (cost >= best_cost_) return;
    std::sort(set.begin(), set.end());
    best_ = std::move(set);
    best_cost_ = cost;
  }

  void by_density() {
    std::vector<size_t> order(items_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return static_cast<double>(items_[a].cost) * static_cast<double>(items_[b].size) <
             static_cast<double>(items_[b].cost) * static_cast<double>(items_[a].size);
    });
    std::vector<size_t> set;
    int64_t size = 0;
    bool found = false;
    for (size_t i : order) {
      set.push_back(i);
      size += items_[i].size;
      if (size < needed_) continue;
      found = enough(set);
      if (found || tries_ == 0) break;
    }
    if (!found) return;
    std::vector<size_t> costliest = set;
    std::stable_sort(costliest.begin(), costliest.end(),
                     [&](size_t a, size_t b) { return items_[a].cost > items_[b].cost; });
    for (size_t drop : costliest) {
      std::vector<size_t> fewer = set;
      std::erase(fewer, drop);
      if (enough(fewer)) set = std::move(fewer);
    }
    keep(std::move(set));
  }

  /// From a set that ends with the i-th item (in order of cost) come two: with the next one more,
  /// and with the next in its place. So each is met once, and none before a cheaper one.
  void in_order_of_cost() {
    std::vector<size_t> order(items_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return items_[a].cost < items_[b].cost; });
    using Entry = std::pair<int64_t, std::vector<size_t>>;  // cost, places in `order`
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ahead;
    if (!order.empty()) ahead.push({items_[order[0]].cost, {0}});
    for (int n = 0; n < kMostSets && !ahead.empty() && tries_ > 0; ++n) {
      auto [cost, places] = ahead.top();
      ahead.pop();
      if (cost >= best_cost_) return;
      std::vector<size_t> set;
      for (size_t place : places) set.push_back(order[place]);
      if (enough(set)) return keep(std::move(set));
      const size_t last = places.back();
      if (last + 1 == order.size()) continue;
      const int64_t next = items_[order[last + 1]].cost;
      std::vector<size_t> instead = places;
      instead.back() = last + 1;
      ahead.push({cost + next - items_[order[last]].cost, std::move(instead)});
      places.push_back(last + 1);
      ahead.push({cost + next, std::move(places)});
    }
  }

  bool replace_one() {
    for (size_t out : std::vector<size_t>(best_)) {
      std::vector<size_t> rest = best_;
      std::erase(rest, out);
      for (size_t in = 0; in < items_.size(); ++in) {
        if (items_[in].cost >= items_[out].cost ||
            std::binary_search(best_.begin(), best_.end(), in))
          continue;
        std::vector<size_t> other = rest;
        other.push_back(in);
        if (!enough(other)) continue;
        keep(std::move(other));
        return true;
      }
    }
    return false;
  }

  std::span<const Costed> items_;
  int64_t needed_;
  std::vector<size_t> best_;
  int64_t best_cost_ = 0;
  int tries_;
  const std::function<bool(std::span<const size_t>)>& suffices_;
};

}  // namespace

std::vector<size_t> cheapest_set(std::span<const Costed> items, int64_t needed,
                                 std::vector<size_t> known, int tries,
                                 const std::function<bool(std::span<const size_t>)>& suffices) {
  return Search(items, needed, std::move(known), tries, suffices).run();
}

}  // namespace berth::core
