#include "core/preemption/reservation.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include "core/placement/gang.h"

namespace berth::core {
namespace {

/// What cannot be preempted is let in only where it will almost surely have ended.
constexpr double kSure = 0.9;
constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

int64_t expected_end(const State& state, const Task& task) {
  if (task.phase == TaskPhase::kReleasing) return state.now().ns;
  const std::optional<DurationBelief> belief = state.duration_of(task);
  if (!belief) return kUnknown;
  const Duration takes = belief->at_most(0.5, state.now() - task.started);
  return std::max((task.started + takes).ns, state.now().ns);
}

}  // namespace

std::optional<ForeseenStart> forecast_start(State& state, Trial& trial, Placer& placer,
                                            const Entitlements& entitlements, GangId gang,
                                            std::span<const TaskId> tasks) {
  std::vector<TaskId> running;
  for (size_t i = 0; i < state.tasks().size(); ++i) {
    const Task& task = state.tasks()[i];
    if (task.holds_place() && task.managed && task.gang != gang)
      running.push_back(TaskId{static_cast<uint32_t>(i)});
  }
  std::sort(running.begin(), running.end(), [&](TaskId a, TaskId b) {
    const Task& x = state.task(a);
    const Task& y = state.task(b);
    return std::tuple(expected_end(state, x), x.started.ns, std::string_view(x.name)) <
           std::tuple(expected_end(state, y), y.started.ns, std::string_view(y.name));
  });

  const auto fit_after = [&](size_t ended) {
    const size_t mark = trial.mark();
    for (size_t i = 0; i < ended; ++i) trial.vacate(running[i]);
    GangFit fit = place_gang(state, trial, placer, entitlements, gang, tasks);
    trial.rollback(mark);
    return std::move(fit.placed);
  };
  std::vector<Placement> placed = fit_after(running.size());
  if (placed.empty()) return std::nullopt;
  size_t low = 0;
  size_t high = running.size();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    std::vector<Placement> fits = fit_after(middle);
    if (fits.empty()) {
      low = middle + 1;
    } else {
      high = middle;
      placed = std::move(fits);
    }
  }
  ForeseenStart forecast{std::move(placed), state.now()};
  if (low > 0) {
    const int64_t end = expected_end(state, state.task(running[low - 1]));
    forecast.start = end == kUnknown ? std::nullopt : std::optional(Time{end});
  }
  return forecast;
}

bool may_backfill(const State& state, std::span<const TaskId> tasks, std::optional<Time> start) {
  return std::all_of(tasks.begin(), tasks.end(), [&](TaskId id) {
    const Task& task = state.task(id);
    if (task.preemptible) return true;
    const std::optional<DurationBelief> belief = state.duration_of(task);
    return start && belief && state.now() + belief->at_most(kSure) <= *start;
  });
}

}  // namespace berth::core
