#include "core/preemption/victims.h"

#include <algorithm>

#include "core/placement/gang.h"
#include "core/preemption/cheapest_set.h"
#include "core/preemption/yielding.h"

namespace berth::core {
namespace {

/// In looking for victims that lose less, so many tasks are placed in vain at most.
constexpr int kMostPlacements = 4096;

class Search {
 public:
  Search(State& state, Trial& trial, Placer& placer, const Entitlements& entitlements, GangId gang,
         std::span<const TaskId> tasks)
      : state_(state),
        trial_(trial),
        placer_(placer),
        entitlements_(entitlements),
        gang_(gang),
        tasks_(tasks),
        yielding_(state, entitlements, gang, tasks) {}

  PreemptionResult run() {
    PreemptionResult result;
    result.none.entitled = yielding_.entitled();
    if (units_.empty()) return result;
    result.found = search(false);
    if (!result.found && yielding_.any_protected()) {
      // Would it fit without protections? Then time will tell; else it is not what holds it up.
      if (search(true)) {
        result.none.is_protected = true;
        result.none.protected_until = yielding_.first_unprotected();
      }
    }
    return result;
  }

 private:
  void vacate(size_t unit) {
    above_fair_share_[unit] = yielding_.is_above_fair_share(units_[unit]);
    for (TaskId task : units_[unit].victim.tasks) trial_.vacate(task);
  }

  bool any_reclaimed(const std::vector<size_t>& units) const {
    return std::any_of(units.begin(), units.end(),
                       [&](size_t i) { return units_[i].victim.reason == EvictReason::kReclaim; });
  }

  /// With what the gang would really be charged (before it is placed, a share by memory counts as
  /// next to nothing): is the queue that was compared with each victim's still entitled to it, if
  /// only by its fair share?
  bool keeps_its_claim(const std::vector<size_t>& units, const Usage& charged) const {
    const QueueId own = state_.gang(gang_).queue;
    return std::all_of(units.begin(), units.end(), [&](size_t i) {
      if (units_[i].victim.reason != EvictReason::kReclaim) return true;
      const QueueId mine = entitlements_.below_common_ancestor(own, units_[i].queue).first;
      const Entitlements::Standing standing = entitlements_.standing(mine, charged);
      return standing == Entitlements::Standing::kGuarantee ||
             (standing == Entitlements::Standing::kFairShare && above_fair_share_[i]);
    });
  }

  /// Does the gang fit now, and does its claim hold for the kinds that it got?
  std::vector<Placement> fit(const std::vector<size_t>& units) {
    const size_t mark = trial_.mark();
    GangFit fit = place_gang(state_, trial_, placer_, entitlements_, gang_, tasks_);
    Usage charged;
    for (const Placement& placement : fit.placed)
      add_to(charged, yielding_.charge_of(state_.task(placement.task)));
    trial_.rollback(mark);
    if (!fit.whole()) return {};
    if (!keeps_its_claim(units, charged)) return {};
    return std::move(fit.placed);
  }

  std::vector<Placement> fit_without(const std::vector<size_t>& units) {
    const size_t mark = trial_.mark();
    for (size_t unit : units) vacate(unit);
    std::vector<Placement> placed = fit(units);
    trial_.rollback(mark);
    return placed;
  }

  /// With a gang's minimum goes its growth.
  void complete(std::vector<size_t>& order) const {
    for (size_t n = 0; n < order.size(); ++n) {
      const size_t whole = order[n];
      if (units_[whole].victim.growth) continue;
      for (size_t i = whole; i > 0 && units_[i - 1].victim.gang == units_[whole].victim.gang; --i)
        if (std::find(order.begin(), order.end(), i - 1) == order.end())
          order.insert(order.begin() + static_cast<ptrdiff_t>(n), i - 1), ++n;
    }
  }

  std::optional<Preemption> search(bool ignore_protection) {
    const size_t mark = trial_.mark();
    std::vector<bool> taken(units_.size(), false);
    std::vector<size_t> order;
    std::vector<Placement> placed;
    // Try after each of the first few, then ever more rarely; the prefix is shortened below.
    size_t next_try = 1;
    for (;;) {
      const std::optional<size_t> unit = yielding_.next(taken, ignore_protection);
      if (unit) {
        taken[*unit] = true;
        order.push_back(*unit);
        vacate(*unit);
      }
      if (order.empty()) break;
      if (!unit || order.size() >= next_try) {
        placed = fit(order);
        if (!placed.empty() || !unit) break;
        next_try = order.size() < 8 ? order.size() + 1 : order.size() * 2;
      }
    }
    trial_.rollback(mark);
    if (placed.empty()) {
      // What went first may have left the others' queue nothing that it borrowed.
      order = cheapest({}, placed, ignore_protection);
      return found(order, placed);
    }

    size_t low = 1;
    size_t high = order.size();
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      std::vector<Placement> fits_here =
          fit_without({order.begin(), order.begin() + static_cast<ptrdiff_t>(middle)});
      if (fits_here.empty()) {
        low = middle + 1;
      } else {
        high = middle;
        placed = std::move(fits_here);
      }
    }
    order.resize(low);
    drop_untouched(order, placed);
    spare(order, placed);
    if (order_is_by_lost_work(order)) order = cheapest(std::move(order), placed, ignore_protection);
    return found(order, placed);
  }

  std::optional<Preemption> found(const std::vector<size_t>& order,
                                  std::vector<Placement>& placed) const {
    if (order.empty()) return std::nullopt;
    Preemption preemption{{}, std::move(placed)};
    for (size_t unit : order) preemption.victims.push_back(units_[unit].victim);
    return preemption;
  }

  /// Did nothing but lost work decide between these?
  bool order_is_by_lost_work(const std::vector<size_t>& order) const {
    const Unit& first = units_[order.front()];
    return std::all_of(order.begin(), order.end(), [&](size_t i) {
      return units_[i].queue == first.queue && units_[i].priority == first.priority &&
             units_[i].backfilled == first.backfilled && yielding_.is_whole_gang(i);
    });
  }
  /// Whole gangs that lose less than `known` together, of the same queue and priority; where none
  /// is known, of any. `known` where none was found.
  std::vector<size_t> cheapest(std::vector<size_t> known, std::vector<Placement>& placed,
                               bool ignore_protection) {
    const Unit* like = known.empty() ? nullptr : &units_[known.front()];
    std::vector<size_t> candidates;
    for (const Line& line : yielding_.lines())
      for (size_t i : line.units) {
        const Unit& unit = units_[i];
        const bool comparable =
            like == nullptr || (unit.queue == like->queue && unit.priority == like->priority &&
                                unit.backfilled == like->backfilled);
        if (comparable && yielding_.is_whole_gang(i) &&
            yielding_.may_yield(unit, ignore_protection))
          candidates.push_back(i);
      }
    std::vector<Costed> costed;
    for (size_t i : candidates) costed.push_back({units_[i].lost, size_of(units_[i])});
    std::vector<size_t> known_places;
    for (size_t i : known)
      known_places.push_back(static_cast<size_t>(
          std::find(candidates.begin(), candidates.end(), i) - candidates.begin()));
    std::sort(known_places.begin(), known_places.end());
    // One may yield only after others did: then there is no choice to compare.
    if (!known.empty() && known_places.back() == candidates.size()) return known;
    const auto suffices = [&](std::span<const size_t> set) {
      std::vector<size_t> units;
      for (size_t place : set) units.push_back(candidates[place]);
      std::vector<Placement> fits_here = fit_by_size(units, ignore_protection);
      if (fits_here.empty()) return false;
      placed = std::move(fits_here);
      return true;
    };
    const int tries = std::clamp(kMostPlacements / static_cast<int>(tasks_.size()), 8, 128);
    const std::vector<size_t> set =
        cheapest_set(costed, missing_milli(), known_places, tries, suffices);
    if (set == known_places) return known;
    std::vector<size_t> order;
    for (size_t place : set) order.push_back(candidates[place]);
    placed = fit_by_size(order, ignore_protection);
    spare(order, placed);
    return order;
  }

  /// Thousandths of devices that it gives back, 1 where it has none.
  static int64_t size_of(const Unit& unit) {
    int64_t milli = 0;
    for (const Charge& charge : unit.charges) milli += charge.accelerator_milli;
    return std::max<int64_t>(milli, 1);
  }

  /// If these go, the largest last, as its queue must have borrowed some of each until it goes.
  std::vector<Placement> fit_by_size(std::vector<size_t> units, bool ignore_protection) {
    std::stable_sort(units.begin(), units.end(),
                     [&](size_t a, size_t b) { return size_of(units_[a]) < size_of(units_[b]); });
    const size_t mark = trial_.mark();
    bool all = true;
    for (size_t i : units) {
      all = all && yielding_.may_yield(units_[i], ignore_protection);
      if (all) vacate(i);
    }
    std::vector<Placement> placed;
    if (all) placed = fit(units);
    trial_.rollback(mark);
    return placed;
  }

  /// Of devices, at least so much must become free.
  int64_t missing_milli() const {
    int64_t missing = 0;
    for (TaskId task : tasks_) {
      const DeviceRequest& wanted = state_.shape_of(task).devices;
      missing += int64_t{wanted.count} * wanted.milli;
    }
    const NameId resource = state_.shape_of(tasks_.front()).devices.resource;
    for (const Node& node : state_.nodes()) {
      for (const Device& device : node.devices)
        if (device.resource == resource && device.usable()) missing -= device.free_milli();
      for (const CountedResource& row : node.counted)
        if (row.resource == resource) missing -= row.free() * 1000;
    }
    return missing;
  }

  /// Gives back whom it can, the last chosen first. Without any that other queues must give up, the
  /// gang need no longer be entitled to others' devices: then all are looked at once more.
  void spare(std::vector<size_t>& order, std::vector<Placement>& placed) {
    for (size_t i = order.size(); i > 0 && order.size() > 1; --i) {
      std::vector<size_t> fewer = order;
      fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i - 1));
      complete(fewer);
      if (fewer.size() == order.size()) continue;
      std::vector<Placement> fits_here = fit_without(fewer);
      if (fits_here.empty()) continue;
      const bool none_left = any_reclaimed(order) && !any_reclaimed(fewer);
      order = std::move(fewer);
      placed = std::move(fits_here);
      if (none_left) i = order.size() + 1;
    }
  }

  /// Victims on none of the nodes that the gang goes to need not yield for those places (unless a
  /// queue's limit makes them): checked in one step, as there may be hundreds.
  void drop_untouched(std::vector<size_t>& order, std::vector<Placement>& placed) {
    std::vector<size_t> fewer;
    for (size_t unit : order) {
      const bool touches = std::any_of(
          units_[unit].victim.tasks.begin(), units_[unit].victim.tasks.end(), [&](TaskId task) {
            return std::any_of(placed.begin(), placed.end(), [&](const Placement& p) {
              return p.node == state_.task(task).node;
            });
          });
      if (touches) fewer.push_back(unit);
    }
    complete(fewer);
    if (fewer.size() == order.size() || fewer.empty()) return;
    std::vector<Placement> fits_here = fit_without(fewer);
    if (fits_here.empty()) return;
    order = std::move(fewer);
    placed = std::move(fits_here);
  }

  State& state_;
  Trial& trial_;
  Placer& placer_;
  const Entitlements& entitlements_;
  GangId gang_;
  std::span<const TaskId> tasks_;
  const Yielding yielding_;
  const std::vector<Unit>& units_ = yielding_.units();
  /// By unit: was its queue above its fair share when it was last tried without it?
  std::vector<bool> above_fair_share_ = std::vector<bool>(units_.size(), false);
};

}  // namespace

int64_t lost_work(const State& state, const Task& task) {
  const Time since = std::max(task.started, task.last_checkpoint);
  const Duration lost = std::clamp(state.now() - since, Duration{0}, state.policy().lost_work_cap);
  const int64_t devices = task.charged_milli > 0 ? task.charged_milli : 1000;
  return lost.to_milliseconds() * devices / 1000;
}

PreemptionResult find_victims(State& state, Trial& trial, Placer& placer,
                              const Entitlements& entitlements, GangId gang,
                              std::span<const TaskId> tasks) {
  return Search(state, trial, placer, entitlements, gang, tasks).run();
}

}  // namespace berth::core
