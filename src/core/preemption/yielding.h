#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/preemption/victims.h"

namespace berth::core {

/// What could yield together: a gang's minimum, one task of its growth, or a service's replica
/// beyond its minimum. A gang's growth stands before its minimum in the list of units.
struct Unit {
  Victim victim;
  QueueId queue;
  int32_t priority = 0;
  int64_t lost = 0;
  Time started;
  Time protected_until;
  bool own = false;
  bool backfilled = false;
  std::vector<Charge> charges;
};

/// Units that yield one after the other: of one leaf, or those that were backfilled.
struct Line {
  QueueId leaf;  ///< none: backfilled units of any queue
  bool own = false;
  std::vector<size_t> units;  ///< in the order in which they yield
};

/// Who could yield for `gang`, and in which order. Asked while a Trial moves things, it answers for
/// the State as it is then.
class Yielding {
 public:
  Yielding(const State& state, const Entitlements& entitlements, GangId gang,
           std::span<const TaskId> tasks);

  const std::vector<Unit>& units() const { return units_; }
  const std::vector<Line>& lines() const { return lines_; }
  /// Is there something that the gang has a claim on?
  bool entitled() const { return entitled_; }
  bool any_protected() const { return any_protected_; }
  std::optional<Time> first_unprotected() const { return first_unprotected_; }

  /// What the gang's queue, or one above it, may claim of others.
  Entitlements::Standing standing_of(QueueId mine) const;
  /// May this unit yield now?
  bool may_yield(const Unit& unit, bool ignore_protection) const;
  /// Has its queue, compared with the gang's below their common ancestor, more than its fair share?
  bool is_above_fair_share(const Unit& unit) const;
  /// Not growth, and of a gang that has none.
  bool is_whole_gang(size_t unit) const;
  /// The next to yield of those that are not taken: an index into units(), or none.
  std::optional<size_t> next(const std::vector<bool>& taken, bool ignore_protection) const;
  Charge charge_of(const Task& task) const;

 private:
  Time protection_end(const Queue& queue, Time started) const;
  bool backfilled_past_estimate(const Task& task) const;
  void add_unit(const Gang& gang, GangId id, std::vector<TaskId> tasks, bool growth, bool own);
  /// Of the own queue only lower priority yields, of others what they must give back; anywhere what
  /// was backfilled.
  bool could_yield(const Gang& gang, bool own) const;
  bool has_standing_over(QueueId leaf) const;
  void add_gang(GangId id, bool own);
  void collect();
  /// How far the line's queues are above their entitlement, from below the common ancestor down.
  std::vector<double> excess_of(const Line& line) const;
  /// A gang's minimum goes only after its growth.
  bool growth_left(size_t whole, const std::vector<bool>& taken) const;

  const State& state_;
  const Entitlements& entitlements_;
  GangId gang_;
  std::span<const TaskId> tasks_;
  std::vector<Unit> units_;
  std::vector<Line> lines_;
  std::vector<std::pair<QueueId, Entitlements::Standing>> standings_;  ///< of the own queues
  bool entitled_ = false;
  bool any_protected_ = false;
  std::optional<Time> first_unprotected_;
};

}  // namespace berth::core
