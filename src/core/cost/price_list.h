#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "core/cost/exact_cost.h"

namespace berth::core {

/// What the whole of a node costs on top of its devices, as a name in the price list.
inline constexpr const char* kNodeHour = "node";

/// What a unit of something costs an hour, with changes over time: a device of an accelerator model
/// or a resource, a CPU, or a node (`node`). What has no price costs nothing.
class PriceList {
 public:
  /// From an instant on; a later call for the same instant replaces the price.
  void set(const std::string& of, Money per_hour, Time from);

  Money at(const std::string& of, Time when) const;
  /// Of thousandths of it, held from one instant to another.
  ExactCost cost(const std::string& of, int64_t milli_units, Time from, Time to) const;
  bool knows(const std::string& of) const { return changes_.contains(of); }

  /// What this list becomes when somebody says `said` at `now`. What was billed stays as it was: a
  /// price that has another value now, or that is no longer named, changes from now on. Only what
  /// `said` dates itself (a `from`), or what had no price before, reaches back.
  PriceList revised(const PriceList& said, Time now) const;

  /// By what is priced: since when which price.
  using Changes = std::map<std::string, std::map<Time, Money>>;
  const Changes& changes() const { return changes_; }
  bool operator==(const PriceList&) const = default;

 private:
  Changes changes_;
};

}  // namespace berth::core
