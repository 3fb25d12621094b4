#include "core/serving/model_swap.h"

#include <algorithm>
#include <tuple>

namespace berth::core {
namespace {

using State = SwapModel::State;

int64_t demand(const SwapModel& model) {
  return model.waiting + model.in_flight;
}

bool starved(const SwapModel& model, const SwapOptions& options, Time now) {
  return model.waiting > 0 && now - model.oldest_waiting >= options.starvation_limit;
}

Time residence_end(const SwapModel& model, const SwapOptions& options) {
  const int64_t loads = demand(model) > 0 ? options.residence_loads : 1;
  return model.loaded_since + std::max(options.min_residence, model.load_time * loads);
}

/// May `victim` ever go for `wanted`, were it there for long enough?
bool outranked(const SwapModel& victim, const SwapModel& wanted, const SwapOptions& options,
               Time now) {
  if (demand(victim) == 0 || victim.priority < wanted.priority) return true;
  if (victim.priority > wanted.priority) return false;
  return wanted.waiting > 2 * demand(victim) || starved(wanted, options, now);
}

std::optional<size_t> most_wanted(std::span<const SwapModel> models, const SwapOptions& options,
                                  Time now) {
  std::optional<size_t> best;
  const auto rank = [&](size_t i) {
    const SwapModel& model = models[i];
    const bool starves = starved(model, options, now);
    return std::tuple(model.priority, starves, starves ? -model.oldest_waiting.ns : 0,
                      model.waiting);
  };
  for (size_t i = 0; i < models.size(); ++i)
    if (models[i].state == State::kUnloaded && models[i].waiting > 0 &&
        (!best || rank(i) > rank(*best)))
      best = i;
  return best;
}

}  // namespace

std::string_view to_string(SwapReason reason) {
  switch (reason) {
    case SwapReason::kNothingWaits:
      return "nothing waits for a model that is not loaded";
    case SwapReason::kLoadUnderWay:
      return "a model is being loaded or unloaded";
    case SwapReason::kFits:
      return "it fits beside what is loaded";
    case SwapReason::kEvicts:
      return "others make room";
    case SwapReason::kProtected:
      return "what would make room has not stayed for long enough, or is in more demand";
    case SwapReason::kPinned:
      return "what would make room is pinned, or busy and of a higher priority";
    case SwapReason::kTooLarge:
      return "it is larger than the device without what is pinned";
  }
  return {};
}

SwapPlan plan_swap(std::span<const SwapModel> models, const SwapOptions& options, Time now) {
  const auto wanted_index = most_wanted(models, options, now);
  if (!wanted_index) return {};
  const SwapModel& wanted = models[*wanted_index];

  int64_t free_bytes = options.device_bytes;
  int64_t pinned_bytes = 0;
  bool under_way = false;
  for (const SwapModel& model : models) {
    if (model.state == State::kUnloaded) continue;
    free_bytes -= model.memory_bytes;
    if (model.pinned) pinned_bytes += model.memory_bytes;
    under_way = under_way || model.state != State::kLoaded;
  }
  if (wanted.memory_bytes > options.device_bytes - pinned_bytes)
    return {.reason = SwapReason::kTooLarge};
  if (under_way) return {.reason = SwapReason::kLoadUnderWay};
  if (wanted.memory_bytes <= free_bytes) return {.reason = SwapReason::kFits, .load = wanted_index};

  std::vector<size_t> victims;
  int64_t reachable = free_bytes;  // if all that may ever go went
  SwapPlan plan{.reason = SwapReason::kPinned};
  const auto try_again = [&plan](Time at) {
    if (!plan.next_try || at < *plan.next_try) plan.next_try = at;
  };
  for (size_t i = 0; i < models.size(); ++i) {
    const SwapModel& model = models[i];
    if (model.state != State::kLoaded || model.pinned) continue;
    if (model.priority > wanted.priority && demand(model) > 0) continue;
    reachable += model.memory_bytes;
    const Time end = residence_end(model, options);
    if (!outranked(model, wanted, options, now)) {
      try_again(std::max(end, wanted.oldest_waiting + options.starvation_limit));
    } else if (end > now) {
      try_again(end);
    } else {
      victims.push_back(i);
    }
  }
  std::ranges::sort(victims, {}, [&](size_t i) {
    const SwapModel& model = models[i];
    return std::tuple(model.priority, demand(model), model.load_time, model.last_used, i);
  });

  int64_t room = free_bytes;
  for (const size_t victim : victims) {
    if (room >= wanted.memory_bytes) break;
    room += models[victim].memory_bytes;
    plan.evict.push_back(victim);
  }
  if (room < wanted.memory_bytes) {
    plan.evict.clear();
    if (reachable >= wanted.memory_bytes) plan.reason = SwapReason::kProtected;
    return plan;
  }
  // The most worth keeping first: spared where the others make room enough.
  for (size_t i = plan.evict.size(); i-- > 0;) {
    const int64_t bytes = models[plan.evict[i]].memory_bytes;
    if (room - bytes < wanted.memory_bytes) continue;
    room -= bytes;
    plan.evict.erase(plan.evict.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return {.reason = SwapReason::kEvicts, .load = wanted_index, .evict = std::move(plan.evict)};
}

}  // namespace berth::core
