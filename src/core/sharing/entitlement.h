#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/model/state.h"
#include "core/sharing/fair_share.h"

namespace berth::core {

/// What each queue is entitled to, worked out once a cycle; asked while a Trial moves things, it
/// answers for the State as it is then.
///
/// The rules (docs/scheduling.md tells them with an example):
/// - A queue *has* what its tasks hold, less what is releasing, plus what is claimed for it.
/// - Its *guarantee* is what it was set, a parent's at least the sum of its children's; scaled down
///   pro rata where siblings' guarantees exceed what their parent, or the cluster, has.
/// - Its *fair share* is a dominant share (see `fair_shares`) of what its parent's is, given what
///   its siblings have and want, with guarantees as floors.
/// - Work is *inside the guarantee* where the queue with it has no more of any kind that the work
///   uses than is guaranteed, and a guarantee for that kind is set.
/// - Queue A may take back from queue B only work that B *borrowed*, and is compared with it below
///   their lowest common ancestor:
///   * as far as A's guarantee goes, whatever is outside B's guarantee;
///   * as far as A's fair share goes (where A has no guarantee for what it asks, or reclaims by
///   fair
///     share), what is outside B's guarantee while B has more than its own fair share.
class Entitlements {
 public:
  explicit Entitlements(const State& state);

  /// How far a queue's claim on others' borrowed work goes.
  enum class Standing { kNone, kFairShare, kGuarantee };

  const Quota& guarantee(QueueId queue) const { return guarantees_[queue.index()]; }
  double fair_share(QueueId queue) const { return fair_[queue.index()]; }
  /// What its weight is now. Where past use counts it is weight * 2^-(u/w), u being the queue's
  /// part of what it and its siblings borrowed, decayed, and w its part of their weights: who used
  /// as much as was due has half its weight, who used nothing all of it (Slurm's fair-share
  /// factor).
  double weight(QueueId queue) const { return weights_[queue.index()]; }
  /// Of what the queue has now.
  ShareVector share(QueueId queue) const;
  /// The dominant share that the queue has above its entitlement; below 0 within it.
  double excess(QueueId queue) const;
  /// How full the guarantee for what `shape` asks is: 1 and more is full; none is set: nothing.
  std::optional<double> guarantee_ratio(QueueId queue, const Shape& shape) const;

  /// Of `queue` if it had `extra` more; `alone`: if it had nothing else.
  Standing standing(QueueId queue, const Usage& extra, bool alone = false) const;
  /// The best that these tasks (of one shape) make it, over the kinds of accelerators that they may
  /// use.
  Standing best_standing(QueueId queue, std::span<const TaskId> tasks, bool alone = false) const;
  /// Is some of the work that charges `part`, which the queue has, outside its guarantee?
  bool borrows(QueueId queue, const Charge& part) const;

  /// May a task that charges `extra`, and is not preemptible, be admitted? Some queue from this one
  /// up must have a guarantee for it, and none that has may be exceeded by such tasks.
  bool guarantees_non_preemptible(QueueId queue, const Charge& extra) const;
  /// The kinds of accelerators on which it may; for a shape without devices all or none.
  AcceleratorMask non_preemptible_kinds(QueueId queue, const Shape& shape) const;

  /// Kinds of accelerators that the limits from this queue up leave room for, for a task of
  /// `shape`.
  AcceleratorMask within_limit(QueueId queue, const Shape& shape) const;
  /// Do CPU and memory of `shape` fit the limits?
  bool cpu_and_memory_within_limit(QueueId queue, const Shape& shape) const;
  /// Is a queue from this one up above its limit in something that `part`, already charged, uses?
  bool above_limit(QueueId queue, const Charge& part) const;
  /// The first queue from this one up whose limit could not hold `count` tasks of `shape` even if
  /// it were otherwise unused.
  QueueId never_within_limit(QueueId queue, const Shape& shape, uint32_t count) const;

  /// The children of the lowest common ancestor that lead to each of two different leaves.
  std::pair<QueueId, QueueId> below_common_ancestor(QueueId a, QueueId b) const;

 private:
  void weigh(std::span<const QueueId> siblings);
  void imply_guarantees(QueueId queue);
  void scale_guarantees(std::span<const QueueId> siblings, QueueId parent);
  void divide(std::span<const QueueId> siblings, const ShareVector& capacity);
  ShareVector vector_of(int64_t cpu, int64_t memory, double weighted_devices) const;
  ShareVector demand_of(QueueId queue) const;
  double floor_of(QueueId queue, const ShareVector& demand) const;

  const State& state_;
  std::vector<QueueId> roots_;
  std::vector<Quota> guarantees_;  ///< by queue
  std::vector<double> fair_;       ///< by queue
  std::vector<double> weights_;    ///< by queue
  double weighted_capacity_ = 0;   ///< devices times weight
  /// Of the kinds there are. Pending work counts as the heaviest: its kind is not chosen yet.
  double heaviest_ = 0;
};

/// What the queue has: see Entitlements.
Usage usage_of(const Queue& queue);
int64_t sum_of(const Usage& usage, AcceleratorMask mask);
void add_to(Usage& usage, const Charge& charge);

}  // namespace berth::core
