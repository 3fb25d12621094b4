#include "core/cost/price_list.h"

#include <algorithm>
#include <iterator>

namespace berth::core {

void PriceList::set(const std::string& of, Money per_hour, Time from) {
  changes_[of][from] = per_hour;
}

Money PriceList::at(const std::string& of, Time when) const {
  const auto found = changes_.find(of);
  if (found == changes_.end()) return {};
  const auto after = found->second.upper_bound(when);
  return after == found->second.begin() ? Money{} : std::prev(after)->second;
}

ExactCost PriceList::cost(const std::string& of, int64_t milli_units, Time from, Time to) const {
  ExactCost sum;
  const auto found = changes_.find(of);
  if (found == changes_.end() || from >= to) return sum;
  const std::map<Time, Money>& changes = found->second;
  auto next = changes.upper_bound(from);
  Money price = next == changes.begin() ? Money{} : std::prev(next)->second;
  for (Time now = from; now < to;) {
    const Time until = next == changes.end() ? to : std::min(to, next->first);
    sum += ExactCost::of(price, milli_units, until - now);
    now = until;
    if (next != changes.end() && next->first == until) price = next++->second;
  }
  return sum;
}

PriceList PriceList::revised(const PriceList& said, Time now) const {
  PriceList result = *this;
  for (auto& [of, changes] : result.changes_)
    changes.erase(changes.upper_bound(now), changes.end());
  std::erase_if(result.changes_, [](const auto& each) { return each.second.empty(); });
  for (const auto& [of, changes] : said.changes_) {
    const bool is_new = !result.knows(of);
    for (const auto& [from, price] : changes)
      if (is_new || from.ns != INT64_MIN) result.set(of, price, from);
  }
  for (auto& [of, changes] : result.changes_)
    if (const Money price = said.at(of, now); result.at(of, now) != price) changes[now] = price;
  return result;
}

}  // namespace berth::core
