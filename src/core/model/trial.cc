#include "core/model/trial.h"

#include <algorithm>

#include "core/model/undo.h"

namespace berth::core {

Trial::Trial(State& state) : state_(state), start_(state.undo_.size()) {
  ++state_.trials_;
}

Trial::~Trial() {
  rollback(start_);
  --state_.trials_;
}

size_t Trial::mark() const {
  return state_.undo_.size();
}

void Trial::remember(TaskId id) {
  const Task& task = state_.tasks_[id.index()];
  State::Undo& undo = state_.undo_.emplace_back();
  undo.kind = State::Undo::Kind::kTask;
  undo.task = id;
  undo.phase = task.phase;
  undo.backfilled = task.backfilled;
  undo.node = task.node;
  undo.devices = task.devices;
  undo.started = task.started;
  undo.release_by = task.release_by;
  undo.was_released_for = !task.released_for.empty();
  if (undo.was_released_for) state_.undo_released_for_.push_back(task.released_for);
}

void Trial::place(const Placement& placement, bool backfilled) {
  remember(placement.task);
  state_.place(placement.task, placement, TaskPhase::kAssumed);
  Task& task = state_.tasks_[placement.task.index()];
  task.started = state_.now_;
  task.backfilled = backfilled;
}

void Trial::vacate(TaskId task) {
  remember(task);
  state_.vacate(task);
}

void Trial::release(TaskId task, GangId beneficiary, Time by) {
  remember(task);
  state_.release(task, state_.gangs_[beneficiary.index()].name, by);
}

void Trial::claim(HeldClaim claim) {
  State::Undo& undo = state_.undo_.emplace_back();
  undo.kind = State::Undo::Kind::kClaim;
  undo.claim = state_.claims_.size();
  state_.apply_claim(claim, +1);
  state_.claims_.push_back(std::move(claim));
}

size_t Trial::find(GangId gang) const {
  const auto& claims = state_.claims_;
  return static_cast<size_t>(
      std::find_if(claims.begin(), claims.end(),
                   [&](const HeldClaim& claim) { return claim.gang == gang; }) -
      claims.begin());
}

void Trial::unclaim(GangId gang) {
  const size_t at = find(gang);
  if (at == state_.claims_.size()) return;
  HeldClaim& claim = state_.claims_[at];
  state_.apply_claim(claim, -1);
  State::Undo& undo = state_.undo_.emplace_back();
  undo.kind = State::Undo::Kind::kUnclaim;
  undo.claim = at;
  state_.undo_claims_.push_back(std::move(claim));
  state_.claims_.erase(state_.claims_.begin() + static_cast<ptrdiff_t>(at));
}

void Trial::set_lifted(size_t at, bool lifted) {
  HeldClaim& claim = state_.claims_[at];
  if (claim.lifted == lifted) return;
  if (lifted) state_.apply_claim(claim, -1);
  claim.lifted = lifted;
  if (!lifted) state_.apply_claim(claim, +1);
}

void Trial::lift(GangId gang) {
  const size_t at = find(gang);
  if (at == state_.claims_.size() || state_.claims_[at].lifted) return;
  set_lifted(at, true);
  State::Undo& undo = state_.undo_.emplace_back();
  undo.kind = State::Undo::Kind::kLift;
  undo.claim = at;
}

void Trial::restore(GangId gang) {
  const size_t at = find(gang);
  if (at == state_.claims_.size() || !state_.claims_[at].lifted) return;
  set_lifted(at, false);
  State::Undo& undo = state_.undo_.emplace_back();
  undo.kind = State::Undo::Kind::kRestore;
  undo.claim = at;
}

void Trial::rollback(size_t mark) {
  while (state_.undo_.size() > mark) {
    State::Undo& undo = state_.undo_.back();
    switch (undo.kind) {
      case State::Undo::Kind::kTask: {
        state_.detach(undo.task);
        Task& task = state_.tasks_[undo.task.index()];
        task.phase = undo.phase;
        task.node = undo.node;
        task.devices = undo.devices;
        task.backfilled = undo.backfilled;
        task.started = undo.started;
        task.release_by = undo.release_by;
        task.released_for.clear();
        if (undo.was_released_for) {
          task.released_for = std::move(state_.undo_released_for_.back());
          state_.undo_released_for_.pop_back();
        }
        state_.attach(undo.task);
        break;
      }
      case State::Undo::Kind::kClaim:
        state_.apply_claim(state_.claims_.back(), -1);
        state_.claims_.pop_back();
        break;
      case State::Undo::Kind::kUnclaim:
        state_.apply_claim(state_.undo_claims_.back(), +1);
        state_.claims_.insert(state_.claims_.begin() + static_cast<ptrdiff_t>(undo.claim),
                              std::move(state_.undo_claims_.back()));
        state_.undo_claims_.pop_back();
        break;
      case State::Undo::Kind::kLift:
        set_lifted(undo.claim, false);
        break;
      case State::Undo::Kind::kRestore:
        set_lifted(undo.claim, true);
        break;
    }
    state_.undo_.pop_back();
  }
}

}  // namespace berth::core
