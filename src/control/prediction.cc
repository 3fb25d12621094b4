#include "control/prediction.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/rng.h"
#include "core/model/trial.h"
#include "core/placement/gang.h"
#include "core/placement/placer.h"
#include "core/sharing/entitlement.h"

namespace berth::control {
namespace {

using namespace core;  // NOLINT: told in the core's terms

constexpr size_t kDraws = 200;
/// Of as much running work fewer draws are made: each looks at all of it several times.
constexpr size_t kMuchWork = 2000;
constexpr size_t kFewDraws = 20;

/// Tasks that end together.
struct Running {
  std::vector<TaskId> tasks;
  Time started;
  std::optional<Time> stops;  ///< it was told to stop
  DurationBelief belief;
  NameId owner{};
};

std::vector<Running> running_work(const State& state, GangId but) {
  std::vector<Running> all;
  for (size_t i = 0; i < state.gangs().size(); ++i) {
    const Gang& gang = state.gangs()[i];
    if (!gang.alive || GangId{static_cast<uint32_t>(i)} == but) continue;
    Running work;
    bool known = true;
    for (TaskId id : gang.tasks) {
      const Task& task = state.task(id);
      if (!task.holds_place()) continue;
      work.tasks.push_back(id);
      work.started = std::max(work.started, task.started);
      if (task.phase == TaskPhase::kReleasing)
        work.stops = std::max(work.stops.value_or(Time{}), task.release_by);
      const auto belief = state.duration_of(task);
      known = known && (belief || task.phase == TaskPhase::kReleasing);
      if (belief) work.belief = *belief;
      work.owner = task.owner;
    }
    if (!work.tasks.empty() && known) all.push_back(std::move(work));
  }
  return all;
}

class Draws {
 public:
  Draws(const State& state, uint64_t seed, GangId gang)
      : state_(state),
        gang_(gang),
        trial_(state_),
        entitlements_(state_),
        placer_(make_placer(state_.policy().profile, seed)),
        rng_(seed),
        work_(running_work(state_, gang)) {
    for (TaskId id : state_.gang(gang).tasks)
      if (state_.task(id).phase == TaskPhase::kPending && !state_.task(id).gated)
        tasks_.push_back(id);
    if (tasks_.size() > state_.gang(gang).min) tasks_.resize(state_.gang(gang).min);
    trial_.lift(gang);
  }

  std::optional<StartPrediction> predict() {
    if (tasks_.empty() || work_.empty()) return std::nullopt;
    std::vector<Time> starts;
    const size_t draws = work_.size() > kMuchWork ? kFewDraws : kDraws;
    for (size_t i = 0; i < draws; ++i) {
      const auto start = draw();
      // What ends makes room in every draw, or in none: only when is drawn.
      if (!start) return std::nullopt;
      starts.push_back(*start);
    }
    std::sort(starts.begin(), starts.end());
    const auto at = [&](double part) {
      return starts[static_cast<size_t>(part * static_cast<double>(starts.size() - 1) + 0.5)];
    };
    // What is not drawn (others' turns, work that is let in meanwhile) makes the ends less sure,
    // the late more than the early: calibrated by `berth simulate --predict`.
    StartPrediction prediction{at(0.5), at(0.24), at(0.77), at(0.035), at(0.975), 0, 0};
    for (const Running& work : work_)
      ++(work.belief.learned() ? prediction.learned : prediction.given);
    return prediction;
  }

 private:
  Time end_of(const Running& work) {
    if (work.stops) return std::max(*work.stops, state_.now());
    DurationBelief belief = work.belief;
    // An owner's few samples mislead about all of its work alike.
    if (belief.learned())
      belief.mean += misled_.try_emplace(work.owner, rng_.normal()).first->second *
                     belief.deviation / std::sqrt(static_cast<double>(belief.samples));
    const double chance = rng_.uniform();
    return std::max(work.started + belief.at_most(chance, state_.now() - work.started),
                    state_.now());
  }

  bool fits_after(const std::vector<std::pair<Time, size_t>>& ends, size_t ended) {
    const size_t mark = trial_.mark();
    for (size_t i = 0; i < ended; ++i)
      for (TaskId task : work_[ends[i].second].tasks) trial_.vacate(task);
    const bool fits = place_gang(state_, trial_, *placer_, entitlements_, gang_, tasks_).whole();
    trial_.rollback(mark);
    return fits;
  }

  std::optional<Time> draw() {
    misled_.clear();
    std::vector<std::pair<Time, size_t>> ends;
    for (size_t i = 0; i < work_.size(); ++i) ends.emplace_back(end_of(work_[i]), i);
    std::sort(ends.begin(), ends.end());
    if (!fits_after(ends, ends.size())) return std::nullopt;
    size_t low = 0;
    size_t high = ends.size();
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      if (fits_after(ends, middle))
        high = middle;
      else
        low = middle + 1;
    }
    return low == 0 ? state_.now() : ends[low - 1].first;
  }

  State state_;
  GangId gang_;
  Trial trial_;
  Entitlements entitlements_;
  std::unique_ptr<Placer> placer_;
  Rng rng_;
  std::vector<Running> work_;
  std::vector<TaskId> tasks_;
  std::map<NameId, double> misled_;  ///< in this draw, by owner, in standard errors
};

}  // namespace

std::optional<StartPrediction> predict_start(const State& state, uint64_t seed, GangId gang) {
  if (!gang.valid() || !state.gang(gang).queue.valid()) return std::nullopt;
  return Draws(state, seed, gang).predict();
}

}  // namespace berth::control
