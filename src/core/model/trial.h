#pragma once

#include <cstddef>

#include "core/model/state.h"

namespace berth::core {

/// Moves that are tried and taken back: when the Trial ends, State's hash is what it was before.
/// Trials nest like scopes. No event may be applied meanwhile.
class Trial {
 public:
  explicit Trial(State& state);
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  size_t mark() const;
  /// Takes back everything since `mark`.
  void rollback(size_t mark);

  /// kPending → kAssumed. The caller has checked that it fits.
  void place(const Placement& placement, bool backfilled = false);
  /// Any phase that holds a place → kPending: as if it had never been placed.
  void vacate(TaskId task);
  /// kAssumed..kRunning → kReleasing: it still holds its place.
  void release(TaskId task, GangId beneficiary, Time by);
  void claim(HeldClaim claim);
  void unclaim(GangId gang);
  /// The gang's own claim or reservation keeps nobody out, until `rollback` or `restore`.
  void lift(GangId gang);
  void restore(GangId gang);

 private:
  void remember(TaskId task);
  size_t find(GangId gang) const;
  void set_lifted(size_t claim, bool lifted);

  State& state_;
  size_t start_;
};

}  // namespace berth::core
